"""What may befall a node's disk and links, as both ends of a test's control know it. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from cluster.link_plan import LinkPlan, link_plan_of

LINE_BYTES_MAX: Final = 64 * 1024
"""A plan travels as one line of JSON."""


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
    """Everything that is wrong from now on."""

    number: int = 0
    disk: DiskFault = DiskFault()
    links: LinkPlan = LinkPlan()


def plan_of(document: Mapping[str, Any]) -> Plan:
    """A plan from its JSON; what is left out is in order."""
    return Plan(
        document.get("number", 0),
        DiskFault(**document.get("disk", {})),
        link_plan_of(document.get("links", {})),
    )
