"""The checker: all states of a small world, breadth first, so a violation has a shortest trace.

The network is a set that only grows: what was said once may be heard at any time, again and again,
or never. So a message that is lost is one that is not heard, and only what links never repeat is
taken out of the set when it is heard. A step of a member depends on nothing but its state and the
input, so each is taken once and remembered; the state of a world is a few numbers.

Three reductions, each of which can be switched off:

* `symmetry`: states that differ only in the names of members are one state.
* `dead`: messages that their receiver will never look at again are forgotten.
* `commuting`: of two deliveries to different members only one order is tried, for both lead to the
  same state (sleep sets, Godefroid 1996). No state is left out, only ways to it.
"""

from __future__ import annotations

import resource
import time
from collections import deque
from collections.abc import Hashable, Iterator
from itertools import permutations
from typing import Any, Final, NamedTuple

from tests.spec import invariants
from tests.spec.invariants import BrokenError, History, led_by
from tests.spec.machine import Input, Machine, Taken
from tests.spec.state import Member
from tests.spec.worlds import LIMITS, World

LOOK_EVERY: Final = 256
"""After this number of states the time and the memory are looked at."""


class Hear(NamedTuple):
    """A member hears the message of a number; `loses`: it crashes before it saves what follows."""

    message: int
    loses: bool = False


Action = Input | Hear
Key = tuple[int, ...]
"""A state of a world: the numbers of its members' states, of its network, limits and history."""


class Step(NamedTuple):
    """One step of a trace: a member's id, and what happened to it (a message, or an input)."""

    member: int
    what: Any
    hears: bool
    loses: bool


class Result(NamedTuple):
    """What came of a world. `broken` is what a violation breaks, `trace` the shortest way to it."""

    world: World
    states: int
    steps: int
    depth: int
    seconds: float
    exhausted: bool
    facts: frozenset[str]
    broken: str = ""
    trace: tuple[Step, ...] = ()

    @property
    def missing(self) -> list[str]:
        """What should have happened somewhere in a world that was exhausted, and did not."""
        wanted = self.world.sometimes if self.exhausted and not self.broken else ()
        return [each for each in wanted if each not in self.facts]


class Table:
    """Numbers for values, in the order in which they come."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def number(self, value: Hashable) -> int:
        """The number of a value, a new one if it has none."""
        key = type(value), value  # named tuples of two classes may be equal
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.values)
            self.values.append(value)
        return number


class Known:
    """How a state was first reached, and which messages need not be heard in it."""

    __slots__ = ("action", "depth", "is_expanded", "names", "parent", "place", "sleep")

    def __init__(self, parent: Key | None, place: int, action: Any, names: int, depth: int) -> None:
        self.parent, self.place, self.action, self.names = parent, place, action, names
        self.depth = depth
        self.sleep: frozenset[int] = frozenset()
        self.is_expanded = False


class FoundError(Exception):
    """A step breaks an invariant."""

    def __init__(self, parent: Key, place: int, action: Action, text: str) -> None:
        super().__init__(text)
        self.parent, self.place, self.action = parent, place, action


class Explorer:
    """One world and how far it is explored."""

    def __init__(
        self, machine: Machine, symmetry: bool = True, dead: bool = True, commuting: bool = True
    ) -> None:
        self._machine, self.world = machine, machine.world
        self._dead, self._commuting = dead, commuting
        self._ids = machine.world.ids
        self._places = {member: place for place, member in enumerate(self._ids)}
        self._states, self._messages, self._nets = Table(), Table(), Table()
        self._limits, self._histories = Table(), Table()
        self._names = _names(machine.world) if symmetry else [tuple(range(len(self._ids)))]
        self._taken: dict[tuple[int, Action], Taken | None] = {}
        self._inputs: dict[int, list[Input]] = {}
        self._renamed: dict[tuple[str, int, int], int] = {}
        self._signs: dict[int, int] = {}
        self._sign_table = Table()
        self._sound: set[tuple[Any, ...]] = set()
        self._targets: list[int] = []
        self._known: dict[Key, Known] = {}
        self.steps = 0
        self.facts: set[str] = set()

    # --- breadth first ---

    def run(self, seconds: float, memory_mb: int = 1 << 40) -> Result:
        """Explore until all is, or until the time or the memory is over."""
        started, exhausted, broken = time.process_time(), True, ""
        trace: tuple[Step, ...] = ()
        depth = 0
        try:
            queue: deque[tuple[Key, frozenset[int] | None]] = deque([(self._begin(), None)])
            while queue:
                key, only = queue.popleft()
                depth = max(depth, self._known[key].depth)
                self._expand(key, only, queue)
                if len(self._known) % LOOK_EVERY == 0 or not self.steps % LOOK_EVERY:
                    used_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                    if time.process_time() - started > seconds or used_mb > memory_mb:
                        exhausted = not queue
                        break
        except FoundError as found:
            broken, trace = str(found), self._trace(found)
        spent = time.process_time() - started
        states, facts = len(self._known), frozenset(self.facts)
        return Result(self.world, states, self.steps, depth, spent, exhausted, facts, broken, trace)

    def _begin(self) -> Key:
        states = [self._states.number(each) for each in begun(self._machine)]
        views = [self._view(each) for each in states]
        chosen = max((m.log.entries[: m.commit] for m in views), key=len)
        history = self._histories.number(History(chosen, led_by(views)))
        limits = self._limits.number(self.world.limits)
        key, names = self._canonical(states, (), limits, history)
        self._known[key] = Known(None, 0, None, names, 0)
        return key

    def _expand(self, key: Key, only: frozenset[int] | None, queue: Any) -> None:
        """Take every step that can be taken in a state; `only`: only these messages are heard."""
        known = self._known[key]
        known.is_expanded = True
        done: set[int] = set()
        for place, action in list(self._actions(key)):
            heard = action.message if isinstance(action, Hear) and not action.loses else None
            if heard in known.sleep if only is None else heard not in only:
                continue
            child = self._step(key, place, action)
            if child is None:
                continue
            self.steps += 1
            child_key, names = child
            sleep = frozenset[int]()
            if self._commuting and not (isinstance(action, Input) and action.kind == "read"):
                target = self._ids[place]
                asleep = [m for m in (*known.sleep, *done) if self._targets[m] != target]
                sleep = frozenset([self._rename("message", m, names) for m in asleep])
            if heard is not None:
                done.add(heard)
            reached = Known(key, place, action, names, known.depth + 1)
            self._reached(child_key, reached, sleep, queue)

    def _reached(self, key: Key, new: Known, sleep: frozenset[int], queue: Any) -> None:
        old = self._known.get(key)
        if old is None:
            new.sleep = sleep
            self._known[key] = new
            queue.append((key, None))
        elif not old.sleep <= sleep:
            awake = old.sleep - sleep
            old.sleep &= sleep
            if old.is_expanded:
                queue.append((key, awake))

    def _actions(self, key: Key) -> Iterator[tuple[int, Action]]:
        *states, net, limits, _ = key
        left = dict(zip(LIMITS, self._limits.values[limits], strict=True))
        for message in self._nets.values[net]:
            place = self._places[self._targets[message]]
            yield place, Hear(message)
            if left["crashes"]:
                yield place, Hear(message, loses=True)
        for place, state in enumerate(states):
            if state not in self._inputs:
                self._inputs[state] = self._machine.inputs(self._states.values[state])
            for each in self._inputs[state]:
                if all(left[cost] for cost in each.costs):
                    yield place, self._numbered(each, left)

    def _numbered(self, input_: Input, left: dict[Any, int]) -> Input:
        """Proposals and changes are told apart by how many there were before."""
        if input_.kind == "lose":
            return input_._replace(argument=self._numbered(input_.argument, left))
        if input_.kind == "propose":
            return input_._replace(argument=self.world.proposals - left["proposals"])
        if input_.kind == "change":
            return input_._replace(argument=len(self.world.changes) - left["changes"])
        return input_

    # --- one step ---

    def _take(self, state: int, action: Action) -> Taken | None:
        """What comes of a step of one member; None: nothing changes."""
        pair = state, action
        if pair in self._taken:
            return self._taken[pair]
        value = self._states.values[state]
        if isinstance(action, Hear):
            message = self._messages.values[action.message]
            taken = self._machine.hear(value, message, action.loses)
        else:
            taken = self._machine.take(value, action)
        if taken is not None:
            after, said = self._states.number(taken.state), tuple(map(self._say, taken.said))
            is_idle = after == state and not said and not taken.served and taken.asked is None
            taken = None if is_idle else taken._replace(state=after, said=said)
        self._taken[pair] = taken
        return taken

    def _say(self, message: Hashable) -> int:
        number = self._messages.number(message)
        if number == len(self._targets):
            self._targets.append(self._machine.target(message))
        return number

    def _step(self, key: Key, place: int, action: Action) -> tuple[Key, int] | None:
        states, (net, limits, history) = list(key[:-3]), key[-3:]
        try:
            taken = self._take(states[place], action)
            if taken is None:
                return None
            after = taken.state
            assert isinstance(after, int)
            if after != states[place] or taken.asked is not None or taken.served:
                states[place] = after
                history = self._histories.number(self._history(states, place, history, taken))
                self._check(states, place, history)
        except (BrokenError, AssertionError) as error:
            raise FoundError(key, place, action, str(error) or repr(error)) from error
        self.facts |= taken.facts
        if isinstance(action, Input) and action.costs:
            left = zip(LIMITS, self._limits.values[limits], strict=True)
            costs = action.costs
            limits = self._limits.number(tuple(n - costs.count(name) for name, n in left))
        elif isinstance(action, Hear) and action.loses:
            *others, crashes = self._limits.values[limits]
            limits = self._limits.number((*others, crashes - 1))
        return self._canonical(
            states, self._net(states, place, net, action, taken), limits, history
        )

    def _net(
        self, states: list[int], place: int, net: int, action: Action, taken: Taken
    ) -> tuple[int, ...]:
        messages = {*self._nets.values[net], *taken.said}
        if isinstance(action, Hear):
            heard = action.message
            if self._machine.is_once_only(self._messages.values[heard]):
                messages.discard(heard)
        if self._dead:
            target, fresh = self._ids[place], set(taken.said)
            return tuple(
                sorted(
                    m
                    for m in messages
                    if not (m in fresh or self._targets[m] == target)
                    or not self._is_dead(states[self._places[self._targets[m]]], m)
                )
            )
        return tuple(sorted(messages))

    def _is_dead(self, state: int, message: int) -> bool:
        return self._machine.is_dead(self._states.values[state], self._messages.values[message])

    def _history(self, states: list[int], place: int, history: int, taken: Taken) -> History:
        """What was ever committed, who led, and what the open reads must see."""
        was: History = self._histories.values[history]
        return invariants.follow(was, self._view(states[place]), taken.asked, taken.served)

    # --- invariants: what was once found sound is not looked at again ---

    def _view(self, state: int) -> Member:
        return self._machine.view(self._states.values[state])

    def _check(self, states: list[int], place: int, history: int) -> None:
        changed, sound = states[place], self._sound
        if (changed,) not in sound:
            invariants.check_one(self._view(changed))
            sound.add((changed,))
        for other in states:
            pair = (changed, other)
            if other != changed and pair not in sound:
                invariants.log_matching((self._view(changed), self._view(other)))
                sound |= {pair, (other, changed)}
        whole = (*states, history)
        if whole not in sound:
            views = [self._view(each) for each in states]
            invariants.check_all(views, self._histories.values[history])
            sound.add(whole)

    # --- symmetry ---

    def _canonical(
        self, states: list[int], net: tuple[int, ...], limits: int, history: int
    ) -> tuple[Key, int]:
        """One state for all that differ only in names, and the names that lead to it."""
        best: tuple[Any, ...] | None = None
        for number in self._candidates(states):
            if number:
                names = self._names[number]
                renamed = [0] * len(states)
                for place, state in enumerate(states):
                    renamed[names[place]] = self._rename("state", state, number)
                heard = tuple(sorted([self._rename("message", each, number) for each in net]))
                found = (renamed, heard, self._rename("history", history, number), number)
            else:
                found = (states, net, history, 0)
            if best is None or found < best:
                best = found
        assert best is not None
        chosen, heard, then, number = best
        return (*chosen, self._nets.number(heard), limits, then), number

    def _candidates(self, states: list[int]) -> list[int]:
        """The names by which states are in the order of their signs, which no name changes."""
        if len(self._names) == 1:
            return [0]
        signs = [self._sign(each) for each in states]
        found: list[int] = []
        least: list[int] | None = None
        for number, names in enumerate(self._names):
            order = [0] * len(signs)
            for place, sign in enumerate(signs):
                order[names[place]] = sign
            if least is None or order < least:
                least, found = order, [number]
            elif order == least:
                found.append(number)
        return found

    def _sign(self, state: int) -> int:
        """A number that is the same for states which differ only in names."""
        sign = self._signs.get(state)
        if sign is None:
            m = self._view(state)
            own, nobody = m.id, dict.fromkeys(self._ids, 1)
            names = {**nobody, own: 2}
            value = self._machine.renamed(self._states.values[state], names)
            sign = self._signs[state] = self._sign_table.number(value)
        return sign

    def _rename(self, kind: str, number: int, names: int) -> int:
        if not names:
            return number
        key = kind, number, names
        known = self._renamed.get(key)
        if known is None:
            table = {"state": self._states, "history": self._histories}.get(kind, self._messages)
            order = self._names[names]
            mapping = {each: self._ids[order[place]] for place, each in enumerate(self._ids)}
            value = self._machine.renamed(table.values[number], mapping)
            if kind == "history":
                value = History(value[0], value[1], tuple(sorted(value[2])))
            known = self._say(value) if kind == "message" else table.number(value)
            self._renamed[key] = known
        return known

    # --- the way to a violation ---

    def _trace(self, found: FoundError) -> tuple[Step, ...]:
        """The steps from the beginning, with the names that the members had there."""
        way: list[tuple[Known, int, Action]] = []
        key: Key | None = found.parent
        place, action = found.place, found.action
        while key is not None:
            known = self._known[key]
            way.append((known, place, action))
            key, place, action = known.parent, known.place, known.action
        steps = []
        back = {each: each for each in self._ids}  # from the names in a state to those at first
        for known, place, action in reversed(way):
            order = self._names[known.names]
            moved = {self._ids[order[n]]: each for n, each in enumerate(self._ids)}
            back = {each: back[moved[each]] for each in self._ids}
            steps.append(self._told(place, action, back))
        return tuple(steps)

    def _told(self, place: int, action: Action, back: dict[int, int]) -> Step:
        member = back[self._ids[place]]
        if isinstance(action, Hear):
            message = self._machine.renamed(self._messages.values[action.message], back)
            return Step(member, message, True, action.loses)
        loses = action.kind == "lose"
        input_ = action.argument if loses else action
        if input_.kind in ("transfer", "broken"):
            input_ = input_._replace(argument=back[input_.argument])
        return Step(member, input_, False, loses)


def begun(machine: Machine) -> list[Hashable]:
    """The states in which a world begins: where it has a leader, that one leads already."""
    world, states = machine.world, machine.begin()
    if world.leader:
        place = world.leader - 1
        taken = machine.take(states[place], Input("timeout"))
        assert taken is not None
        states[place], said = taken.state, list(taken.said)
        for message in said:
            place = world.ids.index(machine.target(message))
            heard = machine.hear(states[place], message)
            if heard is not None:
                states[place] = heard.state
                said += [each for each in heard.said if each not in said]
    return states


def _names(world: World) -> list[tuple[int, ...]]:
    """All ways to rename members, but for those that the world names; first: none."""
    named = {each.member for each in world.changes} | {each.by for each in world.changes}
    named.add(world.reader)
    places = range(len(world.ids))
    return [
        order
        for order in permutations(places)
        if all(order[place] == place for place in places if place + 1 in named)
    ]
