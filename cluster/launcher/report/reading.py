"""Happenings from the lines of events.jsonl, and the fail-overs among them.

It refuses a line that is no event; a last line that is cut off is left out, and so are answers to
commands, which `--json` prints among the events.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.story.failover import Failover
from cluster.launcher.story.happenings import KINDS, Happening

FILE_BYTES_MAX: Final = 256 * 1024 * 1024
"""A larger file was not written by a journal."""

AGAIN_SECONDS: Final = 60.0
"""Lines of one session are not this far out of order: the host's clock has begun anew."""

_OWN: Final = ("time", "at", "kind", "node", "text")


def read(path: Path) -> list[Happening]:
    """The happenings in a file of events; raises LauncherError that names file and line."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise LauncherError(f"{path} is too large for a file of events")
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise LauncherError(f"cannot read {path}: {error.strerror}") from None
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
            if document["kind"] in KINDS:
                found.append(_happening(document))
        except (ValueError, KeyError, TypeError):
            if number < len(lines):
                raise LauncherError(
                    f"{path}, line {number}: not an event of run_cluster.py"
                ) from None
    return found


def last_session(happenings: Sequence[Happening]) -> list[Happening]:
    """What happened since the cluster was last started: a file has every session of its directory.

    A session begins after the end of the one before, or, where that end was not told, with the
    start of a node that was not seen to end.
    """
    began, before, running = 0, 0.0, set[str]()
    for number, happening in enumerate(happenings):
        victim = str(happening.fields.get("victim", ""))
        is_launch = happening.kind == "launched"
        if (is_launch and victim in running) or happening.at < before - AGAIN_SECONDS:
            began, running = number, set()
        if is_launch:
            running.add(victim)
        elif happening.kind == "died":
            running.discard(victim)
        elif happening.kind == "stopped" and number + 1 < len(happenings):
            began, running = number + 1, set()
        before = happening.at
    return list(happenings[began:])


def failovers(happenings: Iterable[Happening]) -> list[Failover]:
    """The measured fail-overs, in order; of one that was told again, the last."""
    found: dict[int, Failover] = {}
    for happening in happenings:
        if happening.kind == "failover":
            known = {
                key: happening.fields[key] for key in Failover._fields & happening.fields.keys()
            }
            if {"number", "cause", "began_at", "leader_before"} <= known.keys():
                tuples = {name: tuple(known.get(name, ())) for name in ("votes", "catching_up")}
                failover = Failover(**{**known, **tuples})
                found[failover.number] = failover
    return [found[number] for number in sorted(found)]


def _happening(document: dict[str, Any]) -> Happening:
    """A document as a happening; ValueError, KeyError or TypeError if it is none."""
    wall = datetime.fromisoformat(document["time"]).timestamp()
    at, kind, node, words = (document[name] for name in ("at", "kind", "node", "text"))
    fields = {name: value for name, value in document.items() if name not in _OWN}
    return Happening(float(at), wall, kind, str(node), str(words), fields)
