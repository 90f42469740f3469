"""What the server says, as data: status, bytes, headers; nothing here touches a socket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import orjson

JSON_TYPE: Final = "application/json"


@dataclass(frozen=True, slots=True)
class RawReply:
    """One answer ready to be written."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)


NO_REPLY: Final = RawReply(0, b"")
"""Not a byte goes out."""


def json_reply(value: object, status: int = 200) -> RawReply:
    """Wrap a value as a JSON answer."""
    return RawReply(status, orjson.dumps(value))


def refusal(status: int, sentence: str, headers: dict[str, str] | None = None) -> RawReply:
    """Build an error the way the sandbox words them: `success` is false and `error` is a sentence."""
    return RawReply(status, orjson.dumps({"success": False, "error": sentence}), JSON_TYPE, headers or {})


class Refused(Exception):
    """The request cannot be served; carries the reply that says so."""

    def __init__(self, status: int, sentence: str) -> None:
        self.reply = refusal(status, sentence)
        super().__init__(sentence)
