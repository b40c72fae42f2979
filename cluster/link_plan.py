"""What may befall the links between members, as whoever plans it and the node both know it.

Values and their JSON only: `actors.runtime.link_faults` makes frames suffer, and refuses nothing
that stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

EVERYBODY: Final = 0
"""In place of a member's id: all members that the plan does not name."""

DELAY_MS_MAX: Final = 60_000


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

    @property
    def is_late(self) -> bool:
        """Whether frames are held up."""
        return self.delay_ms > 0 or self.jitter_ms > 0

    def document(self) -> dict[str, Any]:
        """It as JSON has it: only what is out of order."""
        return {name: value for name, value in self._asdict().items() if value}


WHOLE: Final = LinkFault()
"""A link on which all is well."""


class LinkPlan(NamedTuple):
    """All that is wrong with one node's links: on frames that it sends, and that it receives.

    By the id of the member at the other end, EVERYBODY for those that are not named.
    """

    outgoing: Mapping[int, LinkFault] = {}
    incoming: Mapping[int, LinkFault] = {}

    def document(self) -> dict[str, Any]:
        """It as JSON has it."""
        return {
            direction: {str(member_id): fault.document() for member_id, fault in faults.items()}
            for direction, faults in self._asdict().items()
        }


def link_plan_of(document: Any) -> LinkPlan:
    """A plan from its JSON; what is left out is in order. Raises ValueError for anything else."""
    if not isinstance(document, dict):
        raise ValueError("a plan is an object")
    return LinkPlan(*(faults_of(document.get(direction, {})) for direction in LinkPlan._fields))


def faults_of(document: Any) -> Mapping[int, LinkFault]:
    """One direction of a plan from its JSON."""
    if not isinstance(document, dict):
        raise ValueError("the faults of a direction are an object")
    return {int(member_id): _fault_of(fault) for member_id, fault in document.items()}


def _fault_of(document: Any) -> LinkFault:
    if not isinstance(document, dict) or not document.keys() <= set(LinkFault._fields):
        raise ValueError(f"a fault has the fields {', '.join(LinkFault._fields)}")
    fault = LinkFault(**document)
    delays, chances = (fault.delay_ms, fault.jitter_ms), (fault.loss, fault.duplicate)
    if not all(type(delay) is int and 0 <= delay <= DELAY_MS_MAX for delay in delays):
        raise ValueError(f"a delay is a number of ms from 0 to {DELAY_MS_MAX}")
    if not all(type(chance) in {int, float} and 0 <= chance <= 1 for chance in chances):
        raise ValueError("a chance is a number from 0 to 1")
    if not all(type(flag) is bool for flag in (fault.cut, fault.reorder)):
        raise ValueError("cut and reorder are true or false")
    return fault
