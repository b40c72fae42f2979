"""Asking: puts the questions of Vitals to nodes, over their links, and takes the answers back.

It waits for nothing. A node that does not answer is not asked on and on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cluster.launcher.nodes.probe import OrderAnswered, ProbeLink
from cluster.launcher.screens.vitals import Vitals

UNANSWERED_MAX: Final = 4
"""A node that owes this many answers is not asked until it answers, or they are given up."""

ANSWER_SECONDS: Final = 60.0
"""An answer is not waited for any longer."""


class Asking:
    """The questions under way, by node and number."""

    def __init__(self) -> None:
        self.vitals = Vitals()
        self._asked: dict[str, dict[int, tuple[str, float]]] = {}

    @property
    def due(self) -> float:
        """When there will be something to ask."""
        return self.vitals.due

    def ask(self, links: Mapping[str, ProbeLink], now: float) -> None:
        """Ask what is due of the nodes that run."""
        for name, request in self.vitals.questions(links.keys(), now):
            owed = self._asked.setdefault(name, {})
            for number in [number for number, (_, at) in owed.items() if now - at > ANSWER_SECONDS]:
                del owed[number]
            if len(owed) >= UNANSWERED_MAX:
                continue
            number = links[name].give_order(request)
            if number:
                owed[number] = (request["op"], now)

    def answered(self, name: str, answer: OrderAnswered, now: float) -> bool:
        """Take a node's answer; whether it is one to a question of here."""
        op, _ = self._asked.get(name, {}).pop(answer.number, ("", 0.0))
        if op:
            self.vitals.heard(name, op, answer.reply, now)
        return bool(op)

    def forget(self, name: str) -> None:
        """The node's process has ended: it answers nothing any more."""
        self._asked.pop(name, None)
        self.vitals.forget(name)
