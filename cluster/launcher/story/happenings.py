"""Happening: one thing that happened to a cluster, as a node or the launcher tells it.

Every surface shows the same ones: the prompt, the plain lines, the JSON lines, the page and the
report. This module owns their kinds and the fields of each kind, and refuses to know who shows
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cluster.logs import OF_NODES, iso_utc

LAUNCHER: Final = ""
"""The source of what the launcher itself has seen or done."""


class Happening(NamedTuple):
    """One thing that happened.

    `at` is in seconds of the host's monotonic clock (`time.monotonic`), which all processes of this
    host share; `wall` is in seconds since 1970. `kind` is one of KINDS, `fields` are its fields.
    `source` is the name of the node that tells it, or LAUNCHER. `text` is one line for people.
    """

    at: float
    wall: float
    kind: str
    source: str
    text: str
    fields: Mapping[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """It as one line of `--json` and of events.jsonl has it, its time as ISO 8601 in UTC."""
        return {
            "time": iso_utc(self.wall),
            "at": round(self.at, 6),
            "kind": self.kind,
            "node": self.source,
            "text": self.text,
            **self.fields,
        }


OF_THE_LAUNCHER: Final[Mapping[str, str]] = {
    "ready": "all nodes run and a write is acknowledged: took_ms, leader, term",
    "launched": "a process was started: victim, pid",
    "back": "a started node has joined again: victim, took_ms",
    "died": "a process ended: victim, pid, how (killed by SIGKILL...), leader",
    "command": "a user's command: line, via (prompt, ctl, page, python)",
    "refused": "a user's command was refused: line, why",
    "fault": "links or processes were harmed or healed: what, victims",
    "leader": "who leads, as most nodes say: leader (name or null), term",
    "explained": "what several happenings mean: about (leader, member, near_miss), victims",
    "failover": "a change of leaders, measured: the fields of Failover",
    "member": "the members changed: what (added, promoted, removed), victim",
    "progress": "something that takes long: what, victim, done, total",
    "probe": "the probe client's last second: writes, reads, p50_ms, p99_ms, failed",
    "load": "the background load began or ended: load (its words, or null)",
    "narrated": "a show says what it does: show (tour, chaos)",
    "verdict": "a whole run is judged: passed, why",
    "users": "requests are checked, or the launcher's are refused: what (enabled, shut_out)",
    "slept": "the launcher itself did not run, so what it measured does not count: took_ms",
    "stopped": "the cluster has stopped",
}
"""What the launcher tells, and the fields of each. `victim` is the name of the node it is about."""

REMOVED: Final = "removed"
"""What is told of a member that belongs to the cluster no longer."""

HEALING: Final = ("resume", "heal")
"""How `what` of a "fault" begins where a harm ends."""

CONNECTION: Final = "connection"
TRANSFER: Final = "transfer"
"""How a node notices that it lost its leader, or another member."""

KILLED_SECONDS: Final = 0.1
"""A node that ends, or is missed, this soon after the command to kill it was killed by that
command: the system takes a few milliseconds to end a process that no longer does anything."""

KINDS: Final[Mapping[str, str]] = {**OF_NODES, **OF_THE_LAUNCHER}

RECORDED: Final = frozenset({"message", "probe"})
"""The kinds that come by the second: for the page and the plots, not among the lines that people
read."""

FLEETING: Final = frozenset({"message"})
"""The kinds that come by the thousand: whoever wants them takes them as they come."""

EXPLAINED: Final = frozenset(
    {
        "role",
        "suspected",
        "asked_for_votes",
        "voted",
        "elected",
        "follows",
        "stepped_down",
        "peer_lost",
        "peer_found",
        "near_miss",
        "leader",
    }
)
"""The kinds that sentences of the kind "explained" are made of: people read those instead."""
