"""NodeChannel: the launcher's end of the channel to one node (actors/runtime/channel.py).

It says what is to go wrong with the node's links, and hears what happens there. Whatever a node
sends, the launcher lives on: what is no happening is counted and forgotten. Refuses to know what
happenings mean, and how a plan is made.
"""

from __future__ import annotations

import json
import math
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from cluster.launcher.story.happenings import Happening
from cluster.logs import OF_NODES, PACKET_BYTES_MAX

BUFFER_BYTES: Final = 512 * 1024
"""What may be under way to the launcher; a node drops what happens beyond it."""

KEPT_MAX: Final = 2_000
"""Happenings that were read and not taken; beyond this number the oldest are forgotten."""

PACKETS_PER_READ_MAX: Final = 2_000
"""More than the buffer holds; a node that never stops telling must not keep the launcher busy."""

TEXT_CHARS_MAX: Final = 2_000

TIME_MAX: Final = 253_402_300_799
"""The end of the year 9999 in seconds since 1970, the last that a datetime has."""

_TAKEN: Final = ("kind", "at", "wall", "text")
_RESERVED: Final = frozenset({*_TAKEN, "node", "time"})
"""Fields that a happening's document has by itself."""


class NodeChannel:
    """The launcher's end; for one thread. `names` tells a member's name by its id."""

    def __init__(self, name: str, names: Callable[[int], str]) -> None:
        self._name = name
        self._names = names
        self._socket, self._inherited = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._socket, self._inherited):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        self._socket.setblocking(False)
        self._kept: deque[Happening] = deque(maxlen=KEPT_MAX)
        self._unsent: dict[str, Any] = {}
        self._number = 0
        self.applied = 0
        self.refused = 0
        self.is_open = True

    @property
    def fd(self) -> int:
        """Readable when the node has told something, or has ended; -1 when closed."""
        return self._socket.fileno()

    @property
    def node_fd(self) -> int:
        """The node's end, which its process inherits."""
        return self._inherited.fileno()

    @property
    def is_applied(self) -> bool:
        """Whether the node lives by all that was said to it."""
        return not self._unsent and self.applied == self._number

    def hand_over(self) -> None:
        """The node's process has its end now: its death must close it."""
        self._inherited.close()

    def say(self, **what: Any) -> None:
        """Tell the node its whole plan (`links`), or whether to record messages (`record`)."""
        self._number += 1
        self._unsent |= {**what, "number": self._number}
        self._send()

    def take(self) -> list[Happening]:
        """What the node has told since the last call."""
        self.read()
        taken = [*self._kept]
        self._kept.clear()
        return taken

    def read(self) -> None:
        """Read what has come, and keep it for `take`; say what had no room before."""
        self._send()
        for _ in range(PACKETS_PER_READ_MAX):
            try:
                packet = self._socket.recv(PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self.close()  # its descriptor would be readable for ever
                return
            self._hear(packet)

    def close(self) -> None:
        """Close the channel; what it has read can still be taken."""
        self._inherited.close()
        self._socket.close()
        self.is_open = False

    # --- inside ---

    def _send(self) -> None:
        """Send what is unsent. A node that is paused may have no room for it: then it stays."""
        if not self._unsent or not self.is_open:
            return
        try:
            self._socket.send(json.dumps(self._unsent, separators=(",", ":")).encode())
        except BlockingIOError:
            return
        except OSError:
            return  # the node has just ended, as the next read will see
        self._unsent = {}

    def _hear(self, packet: bytes) -> None:
        try:
            document = json.loads(packet, parse_float=_number, parse_constant=_number)
            if isinstance(document, dict) and type(document.get("applied")) is int:
                self.applied = document["applied"]
            else:
                self._kept.append(happening_of(document, self._name, self._names))
        except (ValueError, RecursionError):
            self.refused += 1


def happening_of(document: Any, source: str, names: Callable[[int], str]) -> Happening:
    """What a node tells, from its JSON. Raises ValueError if it is no happening of a node's.

    A message's receiver is a member's id, and becomes that member's name.
    """
    if not isinstance(document, dict):
        raise ValueError("a happening is an object")
    kind, at, wall, text = (document.get(name) for name in _TAKEN)
    if not isinstance(kind, str) or kind not in OF_NODES:
        raise ValueError("no kind of happening that nodes tell")
    if not isinstance(text, str):
        raise ValueError("its text is none")
    fields = {
        _line(name): _field(value) for name, value in document.items() if name not in _RESERVED
    }
    if kind == "message" and type(fields.get("to")) is int:
        fields["to"] = names(fields["to"])
    return Happening(_time(at), _time(wall), kind, source, _line(text), fields)


def _field(value: Any) -> Any:
    """A value of a happening's field: a plain one, or a list of plain ones."""
    match value:
        case str():
            return _line(value)
        case None | bool() | int() | float():
            return value
        case list():
            if not any(isinstance(each, list | dict) for each in value):
                return [_field(each) for each in value]
    raise ValueError("a field is a plain value, or a list of such")


def _line(text: str) -> str:
    """A text as one line without control characters: it is shown on terminals."""
    return "".join(each if each.isprintable() else " " for each in text[:TEXT_CHARS_MAX])


def _time(value: Any) -> float:
    if type(value) not in {int, float} or not 0 <= value <= TIME_MAX:
        raise ValueError("a time is a number of seconds")
    return float(value)


def _number(text: str) -> float:
    """A number, but none of those that JSON does not have."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number of JSON's")
    return value
