"""A trace of the checker as text, and played again: step by step, on members made anew.

Each line has the number of a member and what happens to it. Messages have numbers in the order in
which they are said for the first time; after `#` stands what the message says, for people.

    cores pair
    1 timeout
    2 hear 1             # VoteRequest from 1: term=2, pre=True, ...
    1 lose propose 0     # the member crashes before it saves what follows
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final

from tests.spec import invariants
from tests.spec.explore import Step, begun
from tests.spec.invariants import BrokenError, History, led_by
from tests.spec.machine import Input, Machine, Taken
from tests.spec.of_cores import Cores
from tests.spec.of_spec import Spec
from tests.spec.state import Member
from tests.spec.worlds import FIRST_ID, WORLDS, World

MACHINES: Final[dict[str, Callable[[World], Machine]]] = {"cores": Cores, "spec": Spec}


class Player:
    """The members of a world, to which one thing happens after another."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._states = begun(machine)
        self._said: list[Hashable] = []
        views = self._views()
        chosen = max((m.log.entries[: m.commit] for m in views), key=len)
        self._history = History(chosen, led_by(views))

    def _views(self) -> list[Member]:
        return [self._machine.view(each) for each in self._states]

    def number_of(self, message: Hashable) -> int:
        """The number of a message that was said, counted from 1."""
        for number, each in enumerate(self._said, 1):
            if type(each) is type(message) and each == message:
                return number
        raise ValueError(f"nobody has said {message}")

    def hear(self, place: int, number: int, loses: bool) -> None:
        """A member hears the message of a number, if that was said: other code says others."""
        for message in self._said[number - 1 : number]:
            self._took(place, self._machine.hear(self._states[place], message, loses))

    def take(self, place: int, input_: Input, loses: bool) -> None:
        """Something happens to a member by itself."""
        input_ = Input("lose", input_) if loses else input_
        self._took(place, self._machine.take(self._states[place], input_))

    def _took(self, place: int, taken: Taken | None) -> None:
        if taken is None:
            return
        self._states[place] = taken.state
        known = {(type(each), each) for each in self._said}
        self._said += [each for each in taken.said if (type(each), each) not in known]
        views = self._views()
        self._history = invariants.follow(self._history, views[place], taken.asked, taken.served)
        invariants.check_one(views[place])
        invariants.log_matching(views)
        invariants.check_all(views, self._history)


def write(kind: str, machine: Machine, trace: Sequence[Step], broken: str) -> str:
    """A trace as text, with what it breaks as a comment."""
    player, lines = Player(machine), [f"# {line}" for line in broken.splitlines()[:1]]
    lines.append(f"{kind} {machine.world.name}")
    for step in trace:
        place, lose = machine.world.ids.index(step.member), "lose " if step.loses else ""
        comment = ""
        if step.hears:
            number = player.number_of(step.what)
            act: tuple[Any, ...] = ("hear", number)
            comment = f"  # {machine.tell(step.what)}"
        else:
            act = (step.what.kind, *_number(step.what.argument))
        text = f"{place + 1} {lose}{' '.join(map(str, act))}"
        lines.append(f"{text:20}{comment}".rstrip())
        try:
            _play(player, text.split())
        except (BrokenError, AssertionError):
            break
    return "\n".join(lines) + "\n"


def _number(argument: Any) -> tuple[int, ...]:
    if argument is None:
        return ()
    return (argument - FIRST_ID + 1 if argument >= FIRST_ID else argument,)


def play(text: str) -> str:
    """Play a script; returns what it breaks, or nothing. Raises ValueError if it is no script."""
    player: Player | None = None
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        if player is None:
            kind, name = words
            if kind not in MACHINES or name not in WORLDS:
                raise ValueError(f"no world {name!r} of {kind!r}")
            player = Player(MACHINES[kind](WORLDS[name]))
            continue
        try:
            _play(player, words)
        except (BrokenError, AssertionError) as error:
            return str(error) or repr(error)
    return ""


def _play(player: Player, words: Sequence[str]) -> None:
    place, acts = int(words[0]) - 1, list(words[1:])
    if loses := acts[0] == "lose":
        acts.pop(0)
    numbers = [int(each) for each in acts if each.isdigit()]
    kind = " ".join(each for each in acts if not each.isdigit())
    if kind == "hear":
        player.hear(place, numbers[0], loses)
        return
    argument = numbers[0] if numbers else None
    if argument is not None and kind in ("transfer", "broken"):
        argument += FIRST_ID - 1
    player.take(place, Input(kind, argument), loses)


def is_script(text: str) -> bool:
    """Whether a text is such a script, by its first line that is no comment."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return bool(lines) and lines[0].split()[0] in MACHINES
