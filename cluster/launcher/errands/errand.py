"""Errands: what takes several steps, each of which waits, while the main loop goes on.

An errand is a generator. It yields what it waits for: `Ask` a node something, or `Until` something
holds. The launcher's main loop drives many at once; LocalCluster's methods drive one and wait for
its end. This module refuses to know what errands are for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.nodes.probe import OrderAnswered, ProbeLink

ANSWER_SECONDS: Final = 15.0
"""A question without an answer after this time is given up: a node answers sooner, or never."""

FOREVER: Final = float("inf")


class OrderRefusedError(LauncherError):
    """A node refused what an errand asked of it; the message is the node's."""


class NoAnswerError(LauncherError):
    """A node was asked, and it is not known whether it did it."""


class AbandonedError(LauncherError):
    """The cluster stops: an errand can do no more."""


class Ask(NamedTuple):
    """Send a request to a node; the errand goes on with its reply, or with one of the errors."""

    node: str
    request: Mapping[str, Any]
    seconds: float = ANSWER_SECONDS


class Until(NamedTuple):
    """Wait until this holds; after `seconds` the errand fails with the text `otherwise`."""

    holds: Callable[[], bool]
    seconds: float
    otherwise: str


Step = Ask | Until

T = TypeVar("T")

Errand = Generator[Step, Any, T]

Ended = Callable[[Any, LauncherError | None], None]
"""Called with an errand's result, or with the error that ended it."""


class Askable(Protocol):
    """What an errand can ask, as far as this module knows it: a node with a link, or without."""

    @property
    def link(self) -> ProbeLink | None: ...


@dataclass(slots=True)
class _UnderWay:
    errand: Errand[Any]
    ended: Ended
    step: Step | None = None
    given_up_at: float = FOREVER
    number: int = 0


class Errands:
    """The errands under way. `nodes` are those that can be asked, by name."""

    def __init__(self, nodes: Mapping[str, Askable]) -> None:
        self._nodes = nodes
        self._under_way: list[_UnderWay] = []

    @property
    def are_awaited(self) -> bool:
        """Whether one of them is to end soon; others last as long as somebody looks on."""
        return self.due < FOREVER

    @property
    def due(self) -> float:
        """When `tick` must be called next (time.monotonic seconds), unless something happens."""
        return min((each.given_up_at for each in self._under_way), default=FOREVER)

    def begin(self, errand: Errand[Any], ended: Ended) -> None:
        """Do the errand up to its first wait, and the rest bit by bit."""
        one = _UnderWay(errand, ended)
        self._under_way.append(one)
        self._go_on(one, None, None)

    def answered(self, name: str, answer: OrderAnswered) -> None:
        """A node has answered a question."""
        for one in list(self._under_way):
            if isinstance(one.step, Ask) and (one.step.node, one.number) == (name, answer.number):
                refused = OrderRefusedError(answer.error) if answer.error else None
                self._go_on(one, answer.reply, refused)

    def lost(self, name: str) -> None:
        """A node's process has ended: it will not answer."""
        for one in list(self._under_way):
            if isinstance(one.step, Ask) and one.step.node == name:
                self._go_on(one, None, NoAnswerError(f"{name} ended before it answered"))

    def tick(self, now: float) -> None:
        """Go on with those whose condition holds; give up those that have waited too long."""
        for one in list(self._under_way):
            if isinstance(one.step, Until):
                if one.step.holds():
                    self._go_on(one, None, None)
                elif now >= one.given_up_at:
                    self._go_on(one, None, LauncherError(one.step.otherwise))
            elif one.step is not None and not (one.number or self._is_sent(one, one.step)):
                if now >= one.given_up_at:
                    error = LauncherError(f"{one.step.node} cannot be reached just now")
                    self._go_on(one, None, error)
            elif one.step is not None and now >= one.given_up_at:
                error = NoAnswerError(f"{one.step.node} does not answer; it may still be done")
                self._go_on(one, None, error)

    def abandon(self) -> None:
        """End all errands: the cluster stops."""
        for one in list(self._under_way):
            self._go_on(one, None, AbandonedError("the cluster stops"))

    # --- inside ---

    def _go_on(self, one: _UnderWay, value: Any, error: LauncherError | None) -> None:
        """Do the errand up to its next wait, or to its end."""
        one.step, one.number = None, 0
        try:
            while True:
                step = one.errand.send(value) if error is None else one.errand.throw(error)
                value = error = None
                if not (isinstance(step, Until) and step.holds()):
                    break
        except StopIteration as end:
            self._under_way.remove(one)
            one.ended(end.value, None)
        except LauncherError as failed:
            self._under_way.remove(one)
            one.ended(None, failed)
        else:
            one.step = step
            one.given_up_at = time.monotonic() + step.seconds
            if isinstance(step, Ask):
                self._is_sent(one, step)

    def _is_sent(self, one: _UnderWay, step: Ask) -> bool:
        """Send the question if the node can be reached; otherwise the next tick tries again."""
        node = self._nodes.get(step.node)
        if node is not None and node.link is not None:
            one.number = node.link.give_order(dict(step.request))
        return one.number > 0
