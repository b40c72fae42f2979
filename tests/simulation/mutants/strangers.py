"""Planted bugs in who is believed: frames of strangers, of later versions, and beyond bounds."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from actors.language.shapes import Form, Shapes
from actors.raft import admission, codec
from actors.raft.admission import Admission
from actors.raft.rpc import ChangeRefusal, ForwardRefusal
from actors.store.upkeep import Upkeep
from cluster.faults import FaultName, MaybeFault
from tests.simulation.mutants.planting import both, mutant

BOUNDLESS = 1 << 65


@mutant
def strangers_are_believed() -> AbstractContextManager[Any]:
    """Whoever reaches the port is a member."""
    return patch.object(Admission, "refusal", lambda *_: "")


@mutant
def anybody_is_a_voter() -> AbstractContextManager[Any]:
    """Who sends is not looked up, though all else is looked at."""
    look = Admission.look

    def careless(own: Admission) -> None:
        look(own)
        own.members = own.voters = _Everybody()

    return patch.object(Admission, "look", careless)


class _Everybody(frozenset[int]):
    """Has everybody in it."""

    def __contains__(self, member: object) -> bool:
        return True


@mutant
def numbers_have_no_bounds() -> AbstractContextManager[Any]:
    """A member's terms, indexes and times are taken as they come."""
    bounds = ("TERM_MAX", "TERM_STEP_MAX", "INDEX_MAX", "TIME_MS_MAX", "TICKET_MAX")
    return both(*(patch.object(admission, bound, BOUNDLESS) for bound in bounds))


@mutant
def a_commit_index_has_no_bounds() -> AbstractContextManager[Any]:
    """An append may commit all that it brings, however far it claims that the log goes."""
    refusal = admission.refusal_of_entries

    def careless(message: Any) -> str:
        return refusal(message._replace(commit=0))

    return patch.object(admission, "refusal_of_entries", careless)


@mutant
def names_of_errors_are_taken_as_they_come() -> AbstractContextManager[Any]:
    """A refusal of a later version reaches whoever waits."""
    text = Form((str,), (str,))
    shapes = Shapes(forms={MaybeFault: text, FaultName: text}, rules={})
    kinds = zip(codec.MESSAGE_KINDS, codec.INCOMING, strict=True)
    refusals = (ForwardRefusal, ChangeRefusal)
    careless = [shapes.of(kind) if kind in refusals else shape for kind, shape in kinds]
    return patch.object(codec, "INCOMING", careless)


@mutant
def commands_are_passed_on_unread() -> AbstractContextManager[Any]:
    """What a follower forwards enters the log, whether or not anybody can read it."""
    return patch("actors.raft.codec.decode_command", lambda command: (None, None))


@mutant
def an_unreadable_entry_is_passed_in_silence() -> AbstractContextManager[Any]:
    """Nobody hears of what every member has skipped."""
    return patch.object(Upkeep, "unreadable", lambda *_: None)


@mutant
def an_alarm_is_raised_once() -> AbstractContextManager[Any]:
    """The proposal is lost, and with it the alarm."""
    return patch("actors.store.raiser.RAISE_AGAIN_MS", 1 << 40)
