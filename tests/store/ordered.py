"""Reads the orders that the engines of a store return."""

from __future__ import annotations

from collections.abc import Iterable

from actors.language.codec import decode_command
from actors.language.commands import Command
from actors.language.messages import Propose, Replies
from actors.language.results import Result
from actors.store.orders import Order


def proposed(orders: Iterable[Order]) -> list[Command]:
    """The commands that are to be put in the log."""
    messages = [order for order in orders if isinstance(order, Propose)]
    return [decode_command(each.command)[0] for one in messages for each in one.proposals]


def answered(orders: Iterable[Order]) -> list[tuple[int, Result]]:
    """Tickets and answers."""
    return [reply for order in orders if isinstance(order, Replies) for reply in order.replies]
