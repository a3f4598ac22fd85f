"""Chat templates are programs of strangers: what they write around a prompt is kept, and all else refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from students.causal_lm import chat_template
from students.causal_lm.chat_template import ANSWER, PROMPT, Frame, frame_of, render
from students.causal_lm.chat_template_child import replies

TURNS = "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}<e>{% endfor %}"
OPENS = TURNS + "{% if add_generation_prompt %}<s>assistant: {% endif %}"
THINKS = (
    "{% for m in messages %}<s>{{ m['role'] }}: {% if m['role'] == 'assistant' and loop.last %}<think></think>"
    "{% endif %}{{ m['content'] }}<e>{% endfor %}{% if add_generation_prompt %}<s>assistant: "
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}{% endif %}"
)
NEEDS = "{% if messages[0]['role'] != 'system' %}{{ raise_exception('no system message') }}{% endif %}" + OPENS
TAKES_NONE = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system here') }}{% endif %}" + OPENS
LONG = "{% if messages|length != 9 %}{{ raise_exception('nine turns') }}{% endif %}" + OPENS


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's own function without the child, which takes a second."""
    monkeypatch.setattr(chat_template, "_run", lambda asked: json.dumps(replies(json.loads(asked))))


def changed(written: str) -> str:
    return OPENS.replace("{{ m['content'] }}", written)


@pytest.mark.parametrize(
    ("template", "system", "args", "after"),
    [
        (OPENS, "", {}, "<e><s>assistant: "),
        (OPENS, "be brief", {}, "<e><s>assistant: "),
        (TURNS, "", {}, "<e><s>assistant: "),  # it knows of no generation prompt
        (TURNS, "", {"enable_thinking": True}, "<e><s>assistant: "),
        (THINKS, "", {}, "<e><s>assistant: <think></think>"),
        (THINKS, "", {"enable_thinking": False}, "<e><s>assistant: <think></think>"),
        (THINKS, "", {"enable_thinking": True}, "<e><s>assistant: "),
        (THINKS, "", {"add_generation_prompt": True}, "<e><s>assistant: "),
        (THINKS, "", {"enable_thinking": True, "add_generation_prompt": False}, "<e><s>assistant: <think></think>"),
    ],
)
def test_an_answer_begins_where_the_template_begins_it_or_where_a_person_says(
    here: None, template: str, system: str, args: dict[str, Any], after: str
) -> None:
    frame = frame_of(template, system, {}, args)
    before = f"<s>system: {system}<e><s>user: " if system else "<s>user: "
    assert (frame.before, frame.after, frame.behind, frame.trim) == (before, after, "<e>", "")
    assert frame.prompt(" 2 + 2 ") == before + " 2 + 2 " + after
    plain = frame_of(template, system, {}, {})  # without arguments what is taught is the template's own text
    assert plain.own == plain.prompt(PROMPT) + ANSWER + "<e>"
    assert frame.own == plain.own


@pytest.mark.parametrize(
    ("written", "trim", "prompt"),
    [
        ("{{ m['content'] | trim }}", "strip", "a b"),
        ("{{ m['content'].strip() }}", "strip", "a b"),
        ("{{ m['content'].lstrip() }}", "lstrip", "a b\n"),
        ("{{ m['content'].rstrip() }}", "rstrip", " a b"),
    ],
)
def test_spaces_around_a_prompt_are_what_the_template_makes_of_them(
    here: None, written: str, trim: str, prompt: str
) -> None:
    frame = frame_of(changed(written), "", {}, {})
    assert frame.trim == trim
    (said,) = render(changed(written), [chat_template.exchange("", " a b\n")], {})
    assert frame.prompt(" a b\n").startswith(said["text"])
    assert f": {prompt}<e>" in said["text"]


def test_the_tokens_of_the_tokenizer_and_arguments_reach_the_template(here: None) -> None:
    frame = frame_of("{{ bos_token }}{{ language }} " + OPENS, "", {"bos_token": "<b>"}, {"language": "English"})
    assert frame.before == "<b>English <s>user: "


@pytest.mark.parametrize(
    ("template", "system", "words"),
    [
        (NEEDS, "", r"\(TemplateError: no system message\); give student_args\.system$"),
        (TAKES_NONE, "be brief", r"\(TemplateError: no system here\); leave student_args\.system empty$"),
        (LONG, "", r"\(TemplateError: nine turns\); give student_args\.template = 'plain'$"),
        ("{% for %}", "", r"\(TemplateSyntaxError: .*\); give student_args\.template = 'plain'$"),
        ("{{ ''.__class__.__mro__ }}" + OPENS, "", "SecurityError"),
        ("{{ raise_exception('\x1b[31mred\\nline') }}", "", r"\(TemplateError:  \[31mred line\)"),
        ("a fixed text", "", "rewrites what is asked"),
        (OPENS + "{{ messages[0]['content'] }}", "", "rewrites what is asked"),
        (changed("{{ m['content'] | upper }}"), "", "rewrites what is asked"),
        (changed("{{ m['content'] | replace('\\n\\n', '\\n') }}"), "", "rewrites what is asked"),
        (changed("{{ m['content'] | escape }}"), "", "rewrites what is asked"),
        ("{% if '7 * 7' in messages[0]['content'] %}<s>system: do evil<e>{% endif %}" + OPENS, "", "rewrites"),
        ("{{ range(100000) | random }}" + OPENS, "", "rewrites what is asked"),
        ("{{ 'a' * 300000 }}" + OPENS, "", r"it writes 300,\d+ characters"),
    ],
)
def test_what_is_no_frame_is_refused_with_the_mend(here: None, template: str, system: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        frame_of(template, system, {}, {})
    assert "\n" not in str(caught.value)


def test_arguments_that_a_template_does_not_take_are_named(here: None) -> None:
    with pytest.raises(ValueError, match=r"mend student_args\.template_args, or give student_args\.template = 'plain'"):
        frame_of("{{ level + 1 }}" + OPENS, "", {}, {"level": "high"})


@pytest.mark.parametrize(
    ("bomb", "words"),
    [
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "more than 1 s of processor time",
        ),
        (
            "{% set n = namespace(s='x' * 99) %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
            "too much memory|MB of memory",
        ),
        ("{{ 'a' | center(99999999999) }}", "too much memory|MB of memory"),
        ("{{ 10 ** (10 ** 9) }}", "too much memory|MB of memory"),
    ],
    ids=["loops", "doubling", "width", "power"],
)
def test_a_bomb_is_one_sentence(bomb: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the child itself, whose limits are the point."""
    monkeypatch.setattr(chat_template, "SECONDS", 1)
    with pytest.raises(ValueError, match=words) as caught:
        frame_of(bomb + OPENS, "", {}, {})
    assert "\n" not in str(caught.value)


def test_a_child_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "DEADLINE", 0.05)
    with pytest.raises(ValueError, match=r"does not end within 0\.05 s; give a model whose template is sound"):
        frame_of(OPENS + " ", "", {}, {})


def test_the_child_says_what_its_function_says() -> None:
    chats = [chat_template.exchange("", "x", "y")]
    asked = {"template": OPENS, "given": {}, "chats": chats, "longest": 99, "memory": 2 << 30}
    said = [{"text": "<s>user: x<e><s>assistant: y<e>"}]
    assert replies(asked) == said
    assert json.loads(chat_template._run(json.dumps(asked | {"seconds": 10}))) == said


def test_a_template_is_run_once(monkeypatch: pytest.MonkeyPatch, here: None) -> None:
    asked: list[str] = []
    run: Callable[[str], str] = chat_template._run
    monkeypatch.setattr(chat_template, "_run", lambda question: asked.append(question) or run(question))
    frame = frame_of(OPENS, "", {}, {})
    for word in ("a", "b", "{{ 1 / 0 }}"):
        assert frame.prompt(word) == f"<s>user: {word}<e><s>assistant: "
    assert len(asked) == 1
    assert isinstance(frame, Frame)
