"""Grading many answers in one run of the sandbox: what is right stays outside, and each wrong answer has a reason."""

from __future__ import annotations

import pytest

import tasks.sandbox
from tasks.code.grading import INSIDE, CodeGrader
from tasks.code.records import CodeCase, CodeTests
from tasks.sandbox import SandboxError

ADD = CodeTests(
    entry="add",
    cases=(
        CodeCase(part="small", calls=([1, 2],), holds="v0 == 3"),
        CodeCase(part="turned", calls=([5, 7], [7, 5]), holds="v0 == v1"),
    ),
)
REFERRED = CodeTests(
    entry="half",
    cases=(CodeCase(part="one", calls=([1],)), CodeCase(part="three", calls=([3],))),
    reference="def half(x):\n    return x / 2\n",
)
SCRIPT = CodeTests(entry="", cases=(CodeCase(part="test 1", calls=(["2 3\n"],), output="5\n"),))
WITHIN = CodeTests(entry="add", inside=("assert add(1, 2) == 3", "assert candidate(2, 2) == 4"))
pytestmark = pytest.mark.usefixtures("needs_sandbox")
RIGHT = "def add(a, b):\n    return a + b\n"


@pytest.fixture(scope="module")
def grader() -> CodeGrader:
    return CodeGrader(seconds=1.0)


@pytest.mark.parametrize(
    ("tests", "answer"),
    [
        (ADD, RIGHT),
        (ADD, f"Here it is:\n```python\n{RIGHT}```\nDone."),
        (REFERRED, "def half(x):\n    return x * 0.5\n"),
        (SCRIPT, "print(sum(map(int, input().split())))"),
        (WITHIN, RIGHT),
    ],
)
def test_right_answers_of_every_form(grader: CodeGrader, tests: CodeTests, answer: str) -> None:
    [grade] = grader.grades([(tests, answer)])
    assert grade.correct
    assert grade.parts
    assert all(grade.parts.values())


def test_parts_say_which_test_failed_and_the_verdict_shows_the_value(grader: CodeGrader) -> None:
    [verdict] = grader.verdicts([(ADD, "def add(a, b):\n    return a - b + 4\n")])
    assert verdict.grade.parts == {"small": True, "turned": False}
    assert (verdict.failed, verdict.detail) == ("turned", "2")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("no program at all", "no program"),
        ("def other(a, b):\n    return a + b\n", "no program"),
        ("def add(a, b):\n    while True: pass\n", "cpu"),
        ("def add(a, b):\n    return object()\n", ""),
        ("def add(a, b):\n    return float('nan')\n", ""),
        ("def add(a, b):\n    raise SystemExit\n", ""),
        ("def add(a, b):\n    return add(a, b)\n", ""),
    ],
)
def test_what_goes_wrong_in_a_program_is_a_wrong_answer_and_no_error(
    grader: CodeGrader, answer: str, reason: str
) -> None:
    wrong, right = grader.verdicts([(ADD, answer), (ADD, RIGHT)])
    assert not wrong.grade.correct
    assert wrong.grade.error is None
    assert wrong.reason == reason
    assert right.grade.correct, "an honest neighbour in the same batch passes"


@pytest.mark.parametrize(
    "cheat",
    [
        "class Same(int):\n    __eq__ = lambda *a: True\ndef add(a, b):\n    return Same(9)\n",
        "import sys\ndef add(a, b):\n    sys.exit(0)\n",
        "def add(a, b):\n    globals()['_dataenv_judge'] = lambda n, t: t\n    return 0\n",
        "def add(a, b):\n    import builtins\n    builtins.exec = lambda *a: None\n    return 0\n",
    ],
)
def test_a_cheat_does_not_pass_tests_of_either_place(grader: CodeGrader, cheat: str) -> None:
    assert not any(grade.correct for grade in grader.grades([(ADD, cheat), (WITHIN, cheat)]))


def test_tests_inside_count_as_one_part(grader: CodeGrader) -> None:
    [verdict] = grader.verdicts([(WITHIN, "def add(a, b):\n    return 3\n")])
    assert verdict.grade.parts == {INSIDE: False}


def test_equal_programs_run_once(grader: CodeGrader, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []

    def counted(programs: list[object], limits: object) -> list[object]:
        ran.append(len(programs))
        return list(tasks.sandbox.judge_or_tell(programs, limits))  # type: ignore[arg-type]

    monkeypatch.setattr("tasks.code.grading.judge_or_tell", counted)
    assert [grade.correct for grade in grader.grades([(ADD, RIGHT)] * 5)] == [True] * 5
    assert ran == [1]


def test_without_a_sandbox_nothing_is_known(grader: CodeGrader, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise SandboxError("no sandbox holds here")

    monkeypatch.setattr(tasks.sandbox, "judge", none)
    unread, unrun = grader.grades([(ADD, "no program"), (ADD, RIGHT)])
    assert (unread.correct, unread.error) == (False, None)
    assert unrun.error == "not checked: no sandbox holds here"
