"""Chat: language models behind any OpenAI-compatible server, for teachers. See ``docs/chat.md``."""

from teachers.chat.client import Chat
from teachers.chat.prompts import render
from teachers.chat.records import load
from teachers.chat.spec import Ask, ChatError, ChatSpec, Message, Outcome, Reply, make_spec

__all__ = [
    "Ask",
    "Chat",
    "ChatError",
    "ChatSpec",
    "Message",
    "Outcome",
    "Reply",
    "load",
    "make_spec",
    "render",
]
