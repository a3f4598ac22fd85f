"""What servers say, in the words of the big ones; each as it was reported, with other texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from teachers.chat.heard import DETAIL, complaint, understand
from teachers.chat.scripted import completion


def error(message: str = "no", **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message} | fields}


COMPLAINTS: list[tuple[str, int, Any, str]] = [
    ("Azure's filter", 400, error("The response was filtered", code="content_filter"), "refused"),
    ("Azure's inner code", 400, error(innererror={"code": "ResponsibleAIPolicyViolation"}), "refused"),
    ("OpenAI's policy", 400, error("Rejected", code="content_policy_violation"), "refused"),
    ("OpenAI's flag", 400, error("Invalid prompt: your prompt was flagged", code="invalid_prompt"), "refused"),
    ("Anthropic's filter", 400, error("Output blocked by content filtering policy"), "refused"),
    ("OpenRouter's moderation", 403, error("x requires moderation. Your input was flagged", code=403), "refused"),
    ("Gemini's list", 400, [error("PROHIBITED_CONTENT", code=400)], "refused"),
    ("DeepSeek's risk", 400, error("Content Exists Risk"), "refused"),
    ("Alibaba's inspection", 400, {"code": "DataInspectionFailed", "message": "x"}, "refused"),
    ("xAI's guidelines", 403, error("Content violates usage guidelines"), "refused"),
    ("a router's filter", 422, {"detail": "the prompt contains inappropriate words"}, "refused"),
    ("the web filter of a company", 403, "<html>Content filter: this page is blocked</html>", "wrong-key"),
    ("a filter that is down", 503, error("the safety system is down"), "server-error"),
    ("no key", 401, error("content_filter"), "wrong-key"),
    ("no right to it", 403, error("forbidden"), "wrong-key"),
    ("Gemini's key", 400, [error("API key not valid. Please pass a valid API key.")], "wrong-key"),
    ("xAI's key", 400, error("Incorrect API key provided: [key]"), "wrong-key"),
    ("OpenAI's project", 403, error("no access to model x", code="model_not_found"), "wrong-model"),
    ("OpenRouter's model", 400, error("m/x is not a valid model ID"), "wrong-model"),
    ("Groq's model", 400, error("gone", code="model_decommissioned"), "wrong-model"),
    ("vLLM's old form", 404, {"object": "error", "message": "The model `x` does not exist."}, "wrong-model"),
    ("Anthropic's money", 400, error("Your credit balance is too low"), "quota"),
    ("DeepSeek's money", 402, error("Insufficient Balance"), "quota"),
    ("OpenRouter's limit of a key", 403, error("Key limit exceeded (total limit)"), "quota"),
    ("too fast", 429, error("slow down"), "rate-limited"),
    ("vLLM's length", 400, error("longer than the maximum model length of 40"), "context"),
    ("Anthropic's length", 400, error("input length and max_tokens exceed context limit: 9 + 9 > 9"), "context"),
    ("Gemini's length", 400, [error("The input token count exceeds the maximum")], "context"),
    ("llama.cpp's length", 400, error(type="exceed_context_size_error"), "context"),
    ("too large", 413, "", "context"),
    ("Anthropic is overloaded", 529, error("Overloaded", type="overloaded_error"), "server-error"),
    ("Groq is full", 498, error("flex tier capacity exceeded"), "server-error"),
    ("a proxy wants a password", 407, "<html>authenticate</html>", "no-server"),
    ("a parameter", 400, error("temperature is not for this model"), "bad-request"),
    ("a prompt that is said back", 400, error("x" * 2000 + " content_filter"), "bad-request"),
    ("FastAPI", 422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, "bad-request"),
    ("deep", 400, "[" * 60_000, "bad-request"),
    ("a text", 400, '"content_filter"', "bad-request"),
]


@pytest.mark.parametrize(("status", "body", "outcome"), [c[1:] for c in COMPLAINTS], ids=[c[0] for c in COMPLAINTS])
def test_a_complaint(status: int, body: Any, outcome: str) -> None:
    heard = complaint(status, (body if isinstance(body, str) else json.dumps(body)).encode(), wait=3.0)
    assert heard.outcome == outcome
    assert heard.detail.startswith(f"HTTP {status}: ")
    assert (heard.text, heard.usage) == ("", None)
    assert heard.wait == (3.0 if outcome in ("rate-limited", "server-error", "no-server") else None)


def test_what_a_router_passes_on_is_told() -> None:
    body = error("Provider returned error", code=429, metadata={"raw": "m is limited upstream"})
    assert complaint(429, json.dumps(body).encode()).detail == (
        "HTTP 429: Provider returned error (m is limited upstream)"
    )


def reply(text: Any = "four", finish: str | None = "stop", tokens: int = 1, **choice: Any) -> dict[str, Any]:
    whole = completion("four", [], 99)
    whole["choices"][0] = {"message": {"role": "assistant", "content": text}, "finish_reason": finish} | choice
    return whole | {"usage": {"prompt_tokens": 5, "completion_tokens": tokens}}


BROKEN = {"code": 502, "message": "Provider returned error"}
REPLIES: list[tuple[str, Any, str]] = [
    ("plain", reply(), "ok"),
    ("OpenRouter breaks off", reply("", "error", error=BROKEN), "server-error"),
    ("and had begun", reply('{"value": 1', "error", error=BROKEN), "server-error"),
    ("without an object", reply("half", "error"), "server-error"),
    ("an error beside stop", reply("half", "stop", error=BROKEN), "server-error"),
    ("no message", {"choices": [{"error": BROKEN, "finish_reason": "error"}]}, "server-error"),
    ("an error in the body", error(code=502), "server-error"),
    ("beside a choice", reply() | error(code=502), "server-error"),
    ("a text as the error", {"error": "overloaded"}, "server-error"),
    ("vLLM's old form", {"object": "error", "message": "CUDA", "code": 500}, "server-error"),
    ("with a code of its own", reply("", "error", error={"code": 429, "message": "slow"}), "rate-limited"),
    ("a code as text", error(code="429"), "rate-limited"),
    ("no model", error(code=404), "wrong-model"),
    ("no money", error(code=402), "quota"),
    ("too long", error(code=400, metadata={"raw": "maximum context length is 9"}), "context"),
    ("a filter's code", error(code="content_filter"), "refused"),
    ("moderation", reply("", "error", error={"code": 403, "message": "requires moderation"}), "refused"),
    ("no error at all", reply(error=None) | {"error": None}, "ok"),
    ("SGLang gives up", reply("", "abort"), "server-error"),
    ("z.AI's network", reply("ha", "network_error"), "server-error"),
    ("DeepSeek is full", reply("ha", "insufficient_system_resource"), "server-error"),
    ("nothing, of no token", reply("", "stop", 0), "server-error"),
    ("nothing, for no reason", reply(None, None), "server-error"),
    ("nothing, and no message", {"choices": [{"finish_reason": "stop"}]}, "garbage"),
    ("nothing, after a token", reply("", "stop"), "empty"),
    ("a thought alone", reply("", "stop", 0, message={"content": "", "reasoning_content": "hm"}), "empty"),
    ("a tool", reply(None, None, 0, message={"content": None, "tool_calls": [{}]}), "empty"),
    ("Azure's filter", reply("ha", "content_filter"), "refused"),
    ("Gemini's filter", reply(None, "content_filter: PROHIBITED_CONTENT"), "refused"),
    ("Gemini's safety", reply(None, "SAFETY"), "refused"),
    ("Anthropic's refusal", reply("", "refusal"), "refused"),
    ("z.AI's filter", reply("", "sensitive"), "refused"),
    ("Cohere's filter", reply("", "ERROR_TOXIC"), "refused"),
    ("a refusal and an error", reply("", "content_filter", error=BROKEN), "refused"),
    ("length", reply("ha", "length"), "truncated"),
    ("Mistral's length", reply("ha", "model_length"), "truncated"),
    ("Anthropic's length", reply("", "max_tokens"), "truncated"),
    ("parts", reply([{"type": "thinking", "thinking": []}, {"type": "text", "text": "four"}]), "ok"),
    ("parts of nothing", reply([{"type": "image"}, 3, None]), "empty"),
    ("a text of another type", reply(4), "garbage"),
    ("choices that are none", {"choices": [4]}, "garbage"),
]


@pytest.mark.parametrize(("body", "outcome"), [r[1:] for r in REPLIES], ids=[r[0] for r in REPLIES])
def test_a_reply(body: Any, outcome: str) -> None:
    heard = understand(json.dumps(body).encode())
    assert heard.outcome == outcome
    assert bool(heard.detail) == (outcome != "ok")
    assert len(heard.detail) <= DETAIL + 50
    if outcome == "ok":
        assert heard.text == "four"
    if outcome in ("server-error", "garbage", "rate-limited", "quota", "context", "wrong-model"):
        assert heard.text == "", "what broke off is not what the model said"


def test_secrets_go_before_anything_is_cut() -> None:
    def clean(text: str) -> str:
        return text.replace("SECRET", "")

    padding = "x" * (DETAIL - 3)
    for heard in (
        complaint(400, json.dumps(error(f"{padding}SECRET")).encode(), clean=clean),
        complaint(400, f"{padding}SECRET".encode(), clean=clean),
        understand(f"{padding}SECRET".encode(), clean),
        understand(json.dumps([f"{padding}SECRET"]).encode(), clean),
        understand(json.dumps(reply("", f"error {padding}SECRET")).encode(), clean),
        understand(json.dumps(reply(finish=f"stop {padding}SECRET") | {"model": f"/{padding}SECRET"}).encode(), clean),
        understand(json.dumps(reply("", error={"SECRET": f"{padding}SECRET"})).encode(), clean),
    ):
        assert "SEC" not in repr(heard)
