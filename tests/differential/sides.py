"""What the comparison needs of a server, whichever it is: requests answered, and watch streams.

Values are already in the common form: maps with etcd's field names, bytes as bytes, numbers as
numbers, enumerations by name, and no fields that hold their zero value, since etcd sends none.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir
from typing import Any, Protocol

from tests.differential.language import Fields
from tests.limits import HANG_SECONDS

ANSWER_SECONDS = HANG_SECONDS
"""A server that has not answered by now is taken for dead."""


class SideDiedError(Exception):
    """A server ended, or stopped answering; the message says which and what is known."""


class Stream(Protocol):
    """One connection of watches."""

    def send(self, name: str, fields: Fields) -> None:
        """Ask for watch_create, watch_cancel or watch_progress."""

    def receive(self, timeout_seconds: float) -> list[Fields]:
        """The messages that have come, waited for if there are none; none after the time-out."""

    def close(self) -> None:
        """End it, and its watches."""


class Side(Protocol):
    """One server, empty at first. Raises SideDiedError."""

    name: str

    def send(self, name: str, fields: Fields) -> None:
        """Ask for one operation; `receive` is next."""

    def receive(self) -> Fields:
        """The answer: `header` and the fields of the reply, or `error` {code, message}."""

    def open_stream(self) -> Stream:
        """A new connection for watches."""

    def stop(self) -> None:
        """End the server and forget its data."""


def memory_directory() -> str:
    """Where files live in memory, if there is such a place: durability is tested elsewhere."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() else gettempdir()


def without_zeros(value: Any) -> Any:
    """The same value without fields that are 0, false or empty: etcd's JSON leaves those out."""
    if isinstance(value, dict):
        fields = {name: without_zeros(item) for name, item in value.items()}
        return {name: v for name, v in fields.items() if v or name.startswith("response_")}
    if isinstance(value, list | tuple):
        return [without_zeros(item) for item in value]
    return value
