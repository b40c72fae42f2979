"""A node that notes what passes at its sockets and its disk, or what its actors take.

`python -m tests.bench.marking WHAT DIRECTORY FLAGS...` runs the product's node with these flags; in
between it and the world stands what takes the notes. They are kept in memory, and written to
DIRECTORY/NAME.json when the node is about to stop. Their clock is the machine's monotonic one, the
same in every process. WHAT is `way`, for the times at which frames and syncs pass, or `actors`, for
the processor time of each call of an actor.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import zmq

import actors.node
from actors.__main__ import main
from actors.consensus import Outside
from actors.node import run_node
from actors.raft.codec import PeerCodec
from actors.raft.disk.files import Disk
from actors.raft.rpc import AppendRequest, AppendResponse
from actors.runtime.base import NodeActor
from actors.runtime.loop import Loop
from cluster.config import NodeConfig
from cluster.door import ClientDoor, Route
from cluster.links import PeerDoor, PeerLock
from cluster.peer_links import PeerLinks
from cluster.wire import WireError, unpack

Context = zmq.Context[zmq.Socket[bytes]]

CLIENT_IN: Final = "a client's frame is taken"
REPLY_OUT: Final = "a reply is sent"
SYNC_BEGINS: Final = "a sync begins"
SYNC_ENDS: Final = "a sync ends"
APPEND_OUT: Final = "entries are sent"
APPEND_IN: Final = "entries are taken"
ACK_OUT: Final = "an acknowledgement is sent"
ACK_IN: Final = "an acknowledgement is taken"

OUT: Final = {AppendRequest: APPEND_OUT, AppendResponse: ACK_OUT}
IN: Final = {AppendRequest: APPEND_IN, AppendResponse: ACK_IN}


class Notes(NamedTuple):
    """Of one node: when each kind of thing happened, and the last index of what frames carried."""

    times: dict[str, list[int]]
    indexes: dict[str, list[tuple[int, int]]]


class Notebook:
    """Takes notes as fast as may be: frames are kept, and read at the end."""

    def __init__(self) -> None:
        self._times: defaultdict[str, list[int]] = defaultdict(list)
        self._frames: list[tuple[int, dict[Any, str], bytes]] = []

    def note(self, kind: str) -> None:
        """It happens now."""
        self._times[kind].append(time.monotonic_ns())

    def note_frame(self, kinds: dict[Any, str], frame: bytes) -> None:
        """A frame of another member passes now; `kinds` says by its message what that is."""
        self._frames.append((time.monotonic_ns(), kinds, frame))

    def notes(self) -> Notes:
        """Everything noted; of the frames those with entries, or that acknowledge them.

        The node goes on meanwhile: what it adds is not in these copies.
        """
        indexes: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for at_ns, kinds, frame in self._frames[:]:
            match _message(frame):
                case AppendRequest() as append if append.entries:
                    last = append.prev_index + len(append.entries)
                    indexes[kinds[AppendRequest]].append((last, at_ns))
                case AppendResponse() as ack if not ack.rejected:
                    indexes[kinds[AppendResponse]].append((ack.index, at_ns))
        times = {kind: each[:] for kind, each in list(self._times.items())}
        return Notes(times, dict(indexes))


def _message(frame: bytes) -> Any:
    """What a member says to another; None for what members say that do not know each other yet."""
    try:
        return PeerCodec(unpack(frame)[0]).decode(frame)
    except WireError:
        return None


class NotedDisk(Disk):
    """Notes syncs."""

    def __init__(self, book: Notebook) -> None:
        self._book = book

    def sync(self, file: int) -> None:
        self._book.note(SYNC_BEGINS)
        super().sync(file)
        self._book.note(SYNC_ENDS)


class NotedPeerDoor(PeerDoor):
    """Notes the other members' frames when they are taken."""

    def __init__(
        self, book: Notebook, context: Context, urls: tuple[str, ...], lock: PeerLock | None
    ) -> None:
        super().__init__(context, urls, lock)
        self._book = book

    def drain(self, items_max: int) -> list[bytes]:
        items = super().drain(items_max)
        for item in items:
            self._book.note_frame(IN, item)
        return items


class NotedPeerLinks(PeerLinks):
    """Notes frames before they are sent to other members."""

    def __init__(self, book: Notebook, context: Context, on_change: Callable[[], None]) -> None:
        super().__init__(context, on_change)
        self._book = book

    def send(self, member_id: int, frame: bytes) -> bool:
        # Before the send: on another core, the frame may arrive before it returns.
        self._book.note_frame(OUT, frame)
        return super().send(member_id, frame)


class NotedClientDoor(ClientDoor):
    """Notes clients' frames when they are taken, and replies before they are sent."""

    def __init__(self, book: Notebook, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._book = book

    def drain(self, items_max: int) -> list[tuple[Route, bytes]]:
        items = super().drain(items_max)
        if items:
            self._book.note(CLIENT_IN)
        return items

    def send(self, route: Route, payload: bytes) -> bool | None:
        self._book.note(REPLY_OUT)
        return super().send(route, payload)


class Spans(NamedTuple):
    """What took the loop's thread: (when it ended, the actor, processor time), in nanoseconds."""

    loop_thread: int
    spans: list[tuple[int, str, int]]


class TimedLoop(Loop):
    """Notes the processor time of each call of an actor."""

    spans: ClassVar[list[tuple[int, str, int]]] = []
    thread = 0

    def add(self, actor: NodeActor) -> None:
        name = type(actor).__name__.removesuffix("Actor")
        own = vars(actor)
        own["receive"] = self._timed(name, actor.receive)
        own["settle"] = self._timed(name, actor.settle)
        super().add(actor)

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        clock, spans = time.thread_time_ns, self.spans

        def call(*arguments: Any) -> Any:
            before = clock()
            result = function(*arguments)
            spans.append((time.monotonic_ns(), name, clock() - before))
            return result

        return call

    def _run(self) -> None:
        type(self).thread = threading.get_native_id()
        super()._run()


def run_noted(what: str, directory: str, config: NodeConfig) -> int:
    """Run the node, which writes its notes when it is about to stop; the exit status."""
    outside, notes = _followed() if what == "way" else _timed()
    stop = actors.node.stop_actors

    def write_and_stop(stopping: actors.node.Actors) -> None:
        text = json.dumps(notes())
        Path(directory, f"{config.name}.json").write_text(text, encoding="ascii")
        stop(stopping)

    vars(actors.node)["stop_actors"] = write_and_stop
    return run_node(config, outside)


def _followed() -> tuple[Outside, Callable[[], Notes]]:
    """Put the notebook between the node and the world."""
    book = Notebook()
    vars(actors.node)["ClientDoor"] = partial(NotedClientDoor, book)
    outside = Outside(NotedDisk(book), partial(NotedPeerDoor, book), partial(NotedPeerLinks, book))
    return outside, book.notes


def _timed() -> tuple[Outside, Callable[[], Spans]]:
    """Let the node have a loop that takes the actors' time."""
    vars(actors.node)["Loop"] = TimedLoop
    return Outside(), lambda: Spans(TimedLoop.thread, TimedLoop.spans[:])


if __name__ == "__main__":
    what, directory, *flags = sys.argv[1:]
    sys.exit(main(flags, lambda config: run_noted(what, directory, config)))
