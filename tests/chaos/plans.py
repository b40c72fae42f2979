"""What may befall a node's disk and links, as both ends of the control know it. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

LINE_BYTES_MAX: Final = 64 * 1024
"""A plan travels as one line of JSON."""


class LinkFault(NamedTuple):
    """What befalls frames of one direction of one link; `loss` and `duplicate` are chances.

    Frames of one delay stay in order unless `reorder` is set.
    """

    cut: bool = False
    delay_ms: int = 0
    jitter_ms: int = 0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: bool = False


class DiskFault(NamedTuple):
    """What befalls files: `write` and `sync` name the errno that each write or fsync fails with.

    `full`: there is no room for a new file. `torn`: of the next write that spans sectors, only some
    arrive, and the process is killed.
    """

    full: bool = False
    write: str = ""
    sync: str = ""
    sync_delay_ms: int = 0
    torn: bool = False


class Plan(NamedTuple):
    """Everything that is wrong from now on; links by member id, 0 for all that are not named."""

    number: int = 0
    disk: DiskFault = DiskFault()
    outgoing: Mapping[int, LinkFault] = {}
    incoming: Mapping[int, LinkFault] = {}


def plan_of(document: Mapping[str, Any]) -> Plan:
    """A plan from its JSON; what is left out is in order."""
    links = {
        direction: {int(m): LinkFault(**f) for m, f in document.get(direction, {}).items()}
        for direction in ("outgoing", "incoming")
    }
    return Plan(document.get("number", 0), DiskFault(**document.get("disk", {})), **links)
