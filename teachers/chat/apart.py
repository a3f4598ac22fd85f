"""Language models for a teacher in a process of its own: the driver asks, keeps the replies and pays.

The teacher's side says what to ask; server, key and prices are those that the teacher's arguments name in the driver,
and a request to any other server is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, get_args

from dataenv.budget.teacher import TeacherPurse
from dataenv.errors import SettingError
from teachers.chat.client import Chat
from teachers.chat.records import Records
from teachers.chat.spec import Ask, ChatSpec, Message, Outcome, make_spec

MOST_CHATS = 64
"""Of one teacher in one episode."""
MOST_REQUESTS = 4096
"""In one question."""


class ChatProxy:
    """The chats of one teacher in one episode.

    Args:
        args: Of the teacher, as its board gives them: every ``chat`` in them may be asked, and no other.
        records: Where replies are kept.
        purse: Of the episode.
    """

    def __init__(self, args: Mapping[str, Any], records: Records, purse: TeacherPurse) -> None:
        self._allowed = [make_spec(chat) for chat in _chats(args)]
        self._context = SimpleNamespace(chats=records, teacher_purse=purse)
        self._chats: dict[int, Chat] = {}

    def chat(self, number: int, spec: Mapping[str, Any], asks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Replies, unread, of one of the teacher's chats.

        Args:
            number: Of the chat: each has the caps of its settings.
            spec: Its settings.
            asks: Messages and what else ``Ask`` has, the schema as JSON with its name.

        Raises:
            SettingError: If the settings are none that the teacher's arguments name.
        """
        if number not in self._chats:
            if len(self._chats) >= MOST_CHATS or not isinstance(number, int):
                raise SettingError(f"{MOST_CHATS} chats are open, which is the most; make one and keep it")
            self._chats[number] = Chat.of(self._permitted(spec), self._context)
        if len(asks) > MOST_REQUESTS:
            raise SettingError(f"{len(asks)} requests are asked at once; give {MOST_REQUESTS} at the most")
        replies = self._chats[number].said([_ask(fields) for fields in asks])
        return [{name: getattr(reply, name) for name in SENT} for reply in replies]

    def note(self, outcomes: Sequence[str]) -> None:
        """Count the outcomes of requests that were made together.

        Raises:
            SettingError: If one is no outcome.
        """
        known = get_args(Outcome)
        if len(outcomes) > MOST_REQUESTS or not all(outcome in known for outcome in outcomes):
            raise SettingError("outcomes hold what is none; note what replies came to")
        self._context.teacher_purse.note(list(outcomes))

    def _permitted(self, fields: Mapping[str, Any]) -> ChatSpec:
        spec = make_spec(fields)
        if spec not in self._allowed:
            raise SettingError("the chat is none that the teacher's arguments name; give it in them, as chat")
        return next(allowed for allowed in self._allowed if allowed == spec)


SENT = ("outcome", "text", "detail", "attempts", "tokens_in", "tokens_out", "micros")
"""Fields of a reply that cross the pipe; its value is made on the other side."""


def _ask(fields: Mapping[str, Any]) -> Ask:
    """An ask as it came out of the pipe; a schema is only sent on, and never run."""
    given = dict(fields)
    form, schema = given.pop("schema", None), None
    if form is not None:
        schema = SimpleNamespace(__name__=str(form["name"])[:200], model_json_schema=lambda: form["schema"])
    messages = tuple(Message.model_validate(message) for message in given.pop("messages"))
    return Ask(messages, schema=schema, **given)  # type: ignore[arg-type]


def _chats(value: Any) -> Iterator[Any]:
    """Every ``chat`` in a teacher's arguments, at any depth."""
    if isinstance(value, Mapping):
        yield from (value[name] for name in value if name == "chat" and value[name])
        for one in value.values():
            yield from _chats(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _chats(one)
