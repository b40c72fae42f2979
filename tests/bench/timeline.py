"""`python -m tests.bench timeline`: the way of one put, and where the processor's time goes.

One client puts at the leader of three real nodes, one put at a time. First the nodes note when
frames pass at their sockets and when they sync (tests/bench/marking.py): medians over all puts, in
microseconds from the client's send. Then, on another cluster, they note what each actor takes. To
note takes time, too: a few microseconds of each put.
"""

from __future__ import annotations

import json
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from cluster.bench import workload
from cluster.bench.wires import Wires, decoded
from cluster.launcher.local import LocalCluster
from tests.bench import marking
from tests.bench.marking import Notes, Spans
from tests.limits import HANG_SECONDS

PUTS: Final = 500
WARM_UP: Final = 200
NODES: Final = 3
VALUE_BYTES: Final = 256

SENT: Final = "the client sends"
ROWS: Final = {
    "the leader's gateway has the frame": SENT,
    "the leader sends the second append": "the leader's gateway has the frame",
    "the leader's sync begins": "the leader sends the second append",
    "the leader's sync ends": "the leader's sync begins",
    "the first follower has the append": "the leader sends the second append",
    "its sync begins": "the first follower has the append",
    "its sync ends": "its sync begins",
    "it sends its acknowledgement": "its sync ends",
    "the leader has the acknowledgement": "it sends its acknowledgement",
    "the leader sends the reply": "the leader has the acknowledgement",
    "the client has it": "the leader sends the reply",
}
"""The places on a put's way, and the place that comes before each."""

Way = dict[str, int]
"""When one put was at each place, in nanoseconds."""


class Sent(NamedTuple):
    """When the client sent a put, and when it had the reply, in nanoseconds."""

    sent: int
    answered: int


class Cost(NamedTuple):
    """The processor time of one node for one put, in microseconds, by what took it."""

    parts: Mapping[str, float]


def run(puts: int, say: Callable[[str], None]) -> None:
    """Measure both, and print two tables."""
    for line in way_table(measure_way(puts)):
        say(line)
    leader, followers = measure_cost(puts)
    for line in cost_table(leader, followers):
        say(line)


# --- the way ----------------------------------------------------------------------------------


def measure_way(puts: int) -> list[Way]:
    """The ways of so many puts; a put beside which something else happened may be missing."""
    with TemporaryDirectory() as directory:
        with _cluster("way", directory) as cluster:
            leader = cluster.leader()
            sent = _put(cluster, puts)
        nodes = {name: Notes(*notes) for name, notes in _written(directory).items()}
    followers = [notes for name, notes in nodes.items() if name != leader]
    ways = (way_of(each, nodes[leader], followers) for each in sent)
    return [way for way in ways if way is not None]


def way_of(put: Sent, leader: Notes, followers: Sequence[Notes]) -> Way | None:
    """One put's way; None where a place is missing."""
    taken = _after(leader.times, marking.CLIENT_IN, put.sent)
    appends = [
        (index, at)
        for index, at in leader.indexes.get(marking.APPEND_OUT, ())
        if taken is not None and taken <= at <= put.answered
    ]
    if taken is None or not appends:
        return None
    index = appends[0][0]
    sync_begins = _after(leader.times, marking.SYNC_BEGINS, taken)
    sides = [side for notes in followers if (side := _at_follower(index, notes)) is not None]
    acked = _first(leader.indexes, marking.ACK_IN, index)
    if sync_begins is None or not sides or acked is None:
        return None
    first = min(sides, key=lambda side: side["it sends its acknowledgement"])
    sync_ends = _after(leader.times, marking.SYNC_ENDS, sync_begins)
    replied = _after(leader.times, marking.REPLY_OUT, taken)
    if sync_ends is None or replied is None:
        return None
    return {
        SENT: put.sent,
        "the leader's gateway has the frame": taken,
        "the leader sends the second append": max(at for i, at in appends if i == index),
        "the leader's sync begins": sync_begins,
        "the leader's sync ends": sync_ends,
        **first,
        "the leader has the acknowledgement": acked,
        "the leader sends the reply": replied,
        "the client has it": put.answered,
    }


def _at_follower(index: int, notes: Notes) -> Way | None:
    appended = _first(notes.indexes, marking.APPEND_IN, index)
    acked = _first(notes.indexes, marking.ACK_OUT, index)
    if appended is None or acked is None:
        return None
    begins = _after(notes.times, marking.SYNC_BEGINS, appended)
    ends = None if begins is None else _after(notes.times, marking.SYNC_ENDS, begins)
    if begins is None or ends is None:
        return None
    return {
        "the first follower has the append": appended,
        "its sync begins": begins,
        "its sync ends": ends,
        "it sends its acknowledgement": acked,
    }


def _after(times: Mapping[str, Sequence[int]], kind: str, since: int) -> int | None:
    """The first time of this kind that is not before `since`."""
    found = times.get(kind, ())
    at = bisect_left(found, since)
    return found[at] if at < len(found) else None


def _first(indexes: Mapping[str, Sequence[tuple[int, int]]], kind: str, index: int) -> int | None:
    """The first time of this kind for this entry."""
    return next((at for each, at in indexes.get(kind, ()) if each == index), None)


def way_table(ways: Sequence[Way]) -> list[str]:
    """A line for each place: its time from the client's send, and from the place before it."""
    assert ways, "no put was seen on its whole way"
    lines = [f"{f'medians of {len(ways):,} puts, us':38}{'from the send':>14}{'step':>8}"]
    for place, before in ROWS.items():
        from_send, step = (
            median(way[place] - way[since] for way in ways) / 1_000 for since in (SENT, before)
        )
        lines.append(f"{place:38}{from_send:14.0f}{step:8.0f}")
    return lines


# --- the processor's time ---------------------------------------------------------------------


def measure_cost(puts: int) -> tuple[Cost, list[Cost]]:
    """What a put took of the leader, and of each follower."""
    with TemporaryDirectory() as directory:
        with _cluster("actors", directory) as cluster:
            leader = cluster.leader()
            pids = {name: node.pid for name, node in cluster.nodes.items()}
            before: dict[str, dict[int, tuple[str, int]]] = {}

            def note_threads() -> None:
                before.update({name: threads(pid) for name, pid in pids.items()})

            sent = _put(cluster, puts, note_threads)
            after = {name: threads(pid) for name, pid in pids.items()}
        notes = {
            name: Spans(thread, [(at, actor, took) for at, actor, took in spans])
            for name, (thread, spans) in _written(directory).items()
        }
    costs = {name: cost_of(sent, notes[name], before[name], after[name]) for name in pids}
    return costs.pop(leader), list(costs.values())


def threads(pid: int) -> dict[int, tuple[str, int]]:
    """The name of each thread of a process, and the nanoseconds that it has run."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text(encoding="utf-8").strip()
        ran = (task / "schedstat").read_text(encoding="ascii").split()[0]
        found[int(task.name)] = (name, int(ran))
    return found


def cost_of(
    sent: Sequence[Sent],
    notes: Spans,
    before: Mapping[int, tuple[str, int]],
    after: Mapping[int, tuple[str, int]],
) -> Cost:
    """One put's share of what the node's threads took between the two looks at them."""
    began, ended = sent[0].sent, sent[-1].answered
    parts: Counter[str] = Counter()
    for at, actor, took in notes.spans:
        if began <= at <= ended:
            parts[actor] += took
    in_actors = parts.total()
    for thread, (name, ran) in after.items():
        took = ran - before.get(thread, (name, 0))[1]
        if thread == notes.loop_thread:
            parts["the loop and its looks"] += took - in_actors
        elif name.startswith("ZMQ"):
            parts["ZeroMQ's threads"] += took
        else:
            parts["other threads"] += took
    return Cost({name: took / len(sent) / 1_000 for name, took in parts.items()})


def cost_table(leader: Cost, followers: Sequence[Cost]) -> list[str]:
    """A line for each part, and one for all: the leader, and the mean follower."""
    names = list(dict.fromkeys(name for cost in (leader, *followers) for name in cost.parts))
    names.sort(key=lambda name: -leader.parts.get(name, 0))
    lines = [f"{'processor time of a put, us':38}{'leader':>14}{'follower':>10}"]
    rows = {
        name: (
            leader.parts.get(name, 0),
            fmean(cost.parts.get(name, 0) for cost in followers),
        )
        for name in names
    }
    rows["in all"] = (
        sum(at_leader for at_leader, _ in rows.values()),
        sum(at_follower for _, at_follower in rows.values()),
    )
    return [*lines, *(f"{name:38}{a:14.0f}{b:10.0f}" for name, (a, b) in rows.items())]


# --- both -------------------------------------------------------------------------------------


@contextmanager
def _cluster(what: str, directory: str) -> Iterator[LocalCluster]:
    """Three nodes that write their notes into the directory when they stop."""
    command = (sys.executable, "-P", "-m", "tests.bench.marking", what, directory)
    with LocalCluster(NODES, command=command) as cluster:
        yield cluster


def _written(directory: str) -> dict[str, Any]:
    """What each node has written, by its name."""
    return {
        path.stem: json.loads(path.read_text(encoding="ascii"))
        for path in Path(directory).glob("*.json")
    }


def _put(
    cluster: LocalCluster, puts: int, when_warm: Callable[[], None] = lambda: None
) -> list[Sent]:
    """Put at the leader, one at a time; those after the warm-up count."""
    addresses = [f"tcp://{endpoint}" for endpoint in cluster.endpoints]
    requests = workload.puts_of_all(VALUE_BYTES, WARM_UP + puts)
    head = requests.head(workload.FIRST_ID)
    sent: list[Sent] = []
    with Wires(addresses, 1, leader_only=True) as wires:
        (socket,) = wires.sockets
        for number, body in enumerate(requests.bodies):
            if number == WARM_UP:
                when_warm()
            before = time.monotonic_ns()
            socket.send(head + body)
            assert socket.poll(int(1_000 * HANG_SECONDS)), "a put was not answered"
            reply = socket.recv()
            after = time.monotonic_ns()
            assert "error" not in decoded(reply), reply
            if number >= WARM_UP:
                sent.append(Sent(before, after))
    return sent
