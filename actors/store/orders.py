"""What the engines of a store decide: whom to tell what, and what to do with the store's file.

An engine returns orders, and StoreActor carries them out one after another. A message among them
goes where `language.messages` says. Knows nothing of why anything is ordered.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from actors.language.auth import NODE
from actors.language.codec import encode_command
from actors.language.commands import Command
from actors.language.entries import NO_TICKET, Proposal
from actors.language.messages import Propose, Published, Replies, Room
from actors.language.metrics import Survey
from actors.language.results import Result


class Say(NamedTuple):
    """To the operator, in the node's log: as critical if it is grave, else as a warning."""

    text: str
    is_grave: bool = False


class Commit(NamedTuple):
    """Commit what is new: at once, or when the commit under way has ended."""


class CopyForClients(NamedTuple):
    """Commit, and copy the store's file to `path` while the store goes on; CopyMade ends it."""

    path: Path


class WriteAnew(NamedTuple):
    """Commit, and begin a compact copy that follows every later commit; Compacted ends it."""


Order = Propose | Published | Replies | Room | Survey | Say | Commit | CopyForClients | WriteAnew


def propose(origin: int, commands: Iterable[Command]) -> Propose:
    """Put these in the log; nobody waits for an answer."""
    proposed = (Proposal(origin, NO_TICKET, encode_command(each, None, NODE)) for each in commands)
    return Propose(tuple(proposed))


def answer(tickets: Iterable[int], result: Result) -> list[Order]:
    """The same answer for all of these tickets; no order if there are none."""
    replies = tuple([(ticket, result) for ticket in tickets])
    return [Replies(replies)] if replies else []
