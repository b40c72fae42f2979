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

Worlds have millions of states, so what is kept of each is small: numbers in arrays. A set of
messages is one integer, in which the bit of each message's number is set.
"""

from __future__ import annotations

import resource
import time
from array import array
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from itertools import permutations
from struct import Struct
from typing import Any, Final, NamedTuple

from tests.spec import invariants
from tests.spec.invariants import BrokenError, History, led_by
from tests.spec.machine import Input, Machine
from tests.spec.state import Member
from tests.spec.worlds import LIMITS, World

LOOK_EVERY: Final = 256
"""After this number of states the time and the memory are looked at."""

REMEMBERED_MAX: Final = 1 << 18
"""What can be worked out again is forgotten when there is more of it than this."""


class Hear(NamedTuple):
    """A member hears the message of a number; `loses`: it crashes before it saves what follows."""

    message: int
    loses: bool = False


Action = Input | Hear
Messages = int
"""A set of messages: the bits of their numbers."""


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


class Move(NamedTuple):
    """What a step makes of one member: see `Taken`, with numbers for its values."""

    state: int
    said: Messages
    served: tuple[int, ...]
    asked: int | None
    gone: Messages
    """The message that was heard, if links never repeat it."""


class Scene(NamedTuple):
    """A state of a world: the numbers of its members' states, and what else there is."""

    states: tuple[int, ...]
    net: Messages
    limits: int
    history: int


class Reached:
    """The states that were reached, numbered in that order, and how each was reached first."""

    def __init__(self, members: int) -> None:
        self._key = Struct(f"{members + 3}I")
        self._numbers: dict[bytes, int] = {}
        self._keys: list[bytes] = []
        self._nets, self._sets, self._ways = Table(), Table(), Table()
        self._sleeping, self._way, self._depth = array("I"), array("I"), array("H")
        self._parent = array("q")

    def __len__(self) -> int:
        return len(self._keys)

    def add(
        self, scene: Scene, parent: int, way: Hashable, depth: int, sleep: Messages
    ) -> tuple[int, bool]:
        """The number of a state, and whether it is new."""
        net = self._nets.number(scene.net)
        key = self._key.pack(*scene.states, net, scene.limits, scene.history)
        number = self._numbers.setdefault(key, len(self._keys))
        if number < len(self._keys):
            return number, False
        self._keys.append(key)
        self._parent.append(parent)
        self._way.append(self._ways.number(way))
        self._depth.append(depth)
        self._sleeping.append(self._sets.number(sleep))
        return number, True

    def scene(self, number: int) -> Scene:
        """The state of a number."""
        *states, net, limits, history = self._key.unpack(self._keys[number])
        return Scene(tuple(states), self._nets.values[net], limits, history)

    def depth(self, number: int) -> int:
        """The steps by which it was reached."""
        return self._depth[number]

    def asleep(self, number: int) -> Messages:
        """The messages that need not be heard in it."""
        sleep: Messages = self._sets.values[self._sleeping[number]]
        return sleep

    def wake(self, number: int, sleep: Messages) -> None:
        """Fewer messages need not be heard."""
        self._sleeping[number] = self._sets.number(sleep)

    def before(self, number: int) -> tuple[int, Any]:
        """The state before it, -1 if it is the first, and the way from there."""
        return self._parent[number], self._ways.values[self._way[number]]


class FoundError(Exception):
    """A step breaks an invariant."""

    def __init__(self, parent: int, place: int, action: Action, text: str) -> None:
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
        self._states, self._messages = Table(), Table()
        self._limits, self._histories = Table(), Table()
        self._names = _names(machine.world) if symmetry else [tuple(range(len(self._ids)))]
        # For each place the messages to the member there, and for each message its place.
        self._to = [0] * len(self._ids)
        self._place_of: list[int] = []
        self._moves: dict[tuple[int, Action], Move | None] = {}
        # For each state of a member the messages that change nothing in it, when they are heard
        # and when it crashes after that.
        self._idle: dict[tuple[int, bool], Messages] = {}
        self._ignored: dict[int, tuple[int, Messages]] = {}
        self._inputs: dict[int, list[Input]] = {}
        self._renamed: dict[tuple[str, int, int], int] = {}
        self._renamed_sets: dict[tuple[Messages, int], Messages] = {}
        self._orders: dict[tuple[int, ...], tuple[tuple[int, ...], list[int]]] = {}
        self._followed: dict[tuple[int, int], int] = {}
        self._signs: dict[int, int] = {}
        self._sign_table = Table()
        self._sound: set[tuple[int, ...]] = set()
        self._sound_wholes: set[tuple[tuple[int, ...], int]] = set()
        self._reached = Reached(len(self._ids))
        self._again: deque[tuple[int, int, Messages]] = deque()
        self._next = 0
        self.steps = 0
        self.facts: set[str] = set()

    # --- breadth first ---

    def run(self, seconds: float, memory_mb: int = 1 << 40) -> Result:
        """Explore until all is, or until the time or the memory is over."""
        started, exhausted, broken = time.process_time(), True, ""
        trace: tuple[Step, ...] = ()
        looked = depth = 0
        try:
            first, names = self._begin()
            self._reached.add(first, -1, (0, None, names), 0, 0)
            while self._again or self._next < len(self._reached):
                number = self._expand_next()
                depth = max(depth, self._reached.depth(number))
                looked += 1
                if looked % LOOK_EVERY == 0:
                    used_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                    if time.process_time() - started > seconds or used_mb > memory_mb:
                        exhausted = not self._again and self._next == len(self._reached)
                        break
        except FoundError as found:
            broken, trace = str(found), self._trace(found)
        spent = time.process_time() - started
        states, facts = len(self._reached), frozenset(self.facts)
        return Result(self.world, states, self.steps, depth, spent, exhausted, facts, broken, trace)

    def _begin(self) -> tuple[Scene, int]:
        states = [self._states.number(each) for each in begun(self._machine)]
        views = [self._view(each) for each in states]
        chosen = max((m.log.entries[: m.commit] for m in views), key=len)
        history = self._histories.number(History(chosen, led_by(views)))
        limits = self._limits.number(self.world.limits)
        return self._canonical(Scene(tuple(states), 0, limits, history))

    def _expand_next(self) -> int:
        """Take the steps of the state whose turn has come, first in first out; returns it."""
        if self._again and self._again[0][0] <= self._next:
            _, number, awake = self._again.popleft()
            self._expand(number, awake)
        else:
            number = self._next
            self._next += 1
            self._expand(number, None)
        return number

    def _expand(self, number: int, awake: Messages | None) -> None:
        """Take every step that can be taken in a state; `awake`: only these messages are heard."""
        here, sleep = self._reached.scene(number), self._reached.asleep(number)
        hears, place_of = ~sleep if awake is None else awake, self._place_of
        for message in bits(self._heard_by_all(here, hears, loses=False)):
            if self._step(number, here, place_of[message], Hear(message), sleep):
                sleep |= 1 << message
        if awake is not None:
            return
        left = dict(zip(LIMITS, self._limits.values[here.limits], strict=True))
        if left["crashes"]:
            for message in bits(self._heard_by_all(here, -1, loses=True)):
                self._step(number, here, place_of[message], Hear(message, loses=True), sleep)
        for place, state in enumerate(here.states):
            for each in self._inputs_of(state):
                if all(left[cost] for cost in each.costs):
                    self._step(number, here, place, self._numbered(each, left), sleep)

    def _heard_by_all(self, here: Scene, among: Messages, loses: bool) -> Messages:
        """The messages, some of those `among`, that change the member to which they go."""
        heard = 0
        for state, to_it in zip(here.states, self._to, strict=True):
            heard |= to_it & ~self._idle.get((state, loses), 0)
        return heard & here.net & among

    def _inputs_of(self, state: int) -> list[Input]:
        found = self._inputs.get(state)
        if found is None:
            found = self._inputs[state] = self._machine.inputs(self._states.values[state])
        return found

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

    def _step(self, number: int, here: Scene, place: int, action: Action, sleep: Messages) -> bool:
        """Take a step, if it changes anything; `sleep`: what was heard in other ways."""
        try:
            move = self._move(here.states[place], action)
            if move is None:
                return False
            then = self._after(here, place, action, move)
        except (BrokenError, AssertionError) as error:
            raise FoundError(number, place, action, str(error) or repr(error)) from error
        self.steps += 1
        child, names = self._canonical(then)
        asleep = 0
        if self._commuting and not (isinstance(action, Input) and action.kind == "read"):
            asleep = self._rename_set(sleep & ~self._to[place], names)
        reached, depth = self._reached, self._reached.depth(number) + 1
        found, is_new = reached.add(child, number, (place, action, names), depth, asleep)
        if not is_new:
            was = reached.asleep(found)
            if awake := was & ~asleep:
                reached.wake(found, was & asleep)
                if found < self._next:
                    self._again.append((len(reached), found, awake))
        return True

    def _move(self, state: int, action: Action) -> Move | None:
        """What comes of a step of one member; None: nothing changes."""
        pair = state, action
        if pair in self._moves:
            return self._moves[pair]
        value, gone = self._states.values[state], 0
        if isinstance(action, Hear):
            message = self._messages.values[action.message]
            taken = self._machine.hear(value, message, action.loses)
            if self._machine.is_once_only(message):
                gone = 1 << action.message
        else:
            taken = self._machine.take(value, action)
        move = None
        if taken is not None:
            said = 0
            for each in taken.said:
                said |= 1 << self._say(each)
            move = Move(self._states.number(taken.state), said, taken.served, taken.asked, gone)
            self.facts |= taken.facts
        if move is not None and move[:4] == (state, 0, (), None):
            move = None
        if move is None and isinstance(action, Hear):
            idle = state, action.loses
            self._idle[idle] = self._idle.get(idle, 0) | 1 << action.message
        self._moves[pair] = move
        return move

    def _say(self, message: Hashable) -> int:
        number = self._messages.number(message)
        if number == len(self._place_of):
            place = self._places[self._machine.target(message)]
            self._place_of.append(place)
            self._to[place] |= 1 << number
        return number

    def _after(self, here: Scene, place: int, action: Action, move: Move) -> Scene:
        """The state of the world after a step of one member, which breaks no invariant."""
        states, history, limits = here.states, here.history, here.limits
        is_told = bool(move.served) or move.asked is not None
        if move.state != states[place] or is_told:
            states = (*states[:place], move.state, *states[place + 1 :])
            history = self._follow(move, history, is_told)
            self._check(states, place, history)
        net = (here.net | move.said) & ~move.gone
        if self._dead:
            for each in states:
                net &= ~self._ignored_in(each)
        if isinstance(action, Hear):
            costs: tuple[str, ...] = ("crashes",) if action.loses else ()
        else:
            costs = action.costs
        if costs:
            left = zip(LIMITS, self._limits.values[limits], strict=True)
            limits = self._limits.number(tuple(n - costs.count(name) for name, n in left))
        return Scene(states, net, limits, history)

    def _ignored_in(self, state: int) -> Messages:
        """The messages at which the member will never look again in this state, or after it."""
        looked, ignored = self._ignored.get(state, (0, 0))
        known = len(self._messages.values)
        if looked < known:
            value, messages = self._states.values[state], self._messages.values
            to_it = self._to[self._places[self._view(state).id]]
            for message in bits(to_it >> looked << looked):
                if self._machine.is_dead(value, messages[message]):
                    ignored |= 1 << message
            self._ignored[state] = known, ignored
        return ignored

    def _follow(self, move: Move, history: int, is_told: bool) -> int:
        """What was ever committed, who led, and what the open reads must see."""
        pair = move.state, history
        known = None if is_told else self._followed.get(pair)
        if known is None:
            was: History = self._histories.values[history]
            then = invariants.follow(was, self._view(move.state), move.asked, move.served)
            known = self._histories.number(then)
            if not is_told:
                self._followed[pair] = known
        return known

    # --- invariants: what was once found sound is not looked at again ---

    def _view(self, state: int) -> Member:
        return self._machine.view(self._states.values[state])

    def _check(self, states: tuple[int, ...], place: int, history: int) -> None:
        whole = states, history
        if whole in self._sound_wholes:
            return
        changed, sound = states[place], self._sound
        if (changed,) not in sound:
            invariants.check_one(self._view(changed))
            sound.add((changed,))
        for other in states:
            pair = (changed, other)
            if other != changed and pair not in sound:
                invariants.log_matching((self._view(changed), self._view(other)))
                sound |= {pair, (other, changed)}
        views = [self._view(each) for each in states]
        invariants.check_all(views, self._histories.values[history])
        if len(self._sound_wholes) >= REMEMBERED_MAX:
            self._sound_wholes.clear()
        self._sound_wholes.add(whole)

    # --- symmetry ---

    def _canonical(self, scene: Scene) -> tuple[Scene, int]:
        """One state for all that differ only in names, and the names that lead to it."""
        states, net, limits, history = scene
        order = self._orders.get(states)
        if order is None:
            if len(self._orders) >= REMEMBERED_MAX:
                self._orders.clear()
            order = self._orders[states] = self._order(states)
        chosen, names = order
        if names == [0]:
            return scene, 0
        best = min(
            (self._rename_set(net, each), self._rename("history", history, each), each)
            for each in names
        )
        return Scene(chosen, best[0], limits, best[1]), best[2]

    def _order(self, states: tuple[int, ...]) -> tuple[tuple[int, ...], list[int]]:
        """The states of members in the order that no name changes, and the names that lead to it.

        First come those with the least sign, which no name changes; then those with the least
        numbers.
        """
        signs = [self._sign(each) for each in states] if len(self._names) > 1 else []
        least: tuple[list[int], tuple[int, ...]] | None = None
        found: list[int] = []
        for number, names in enumerate(self._names):
            order = _moved(signs, names)
            if least is not None and order > least[0]:
                continue
            renamed = [self._rename("state", each, number) for each in states]
            candidate = order, tuple(_moved(renamed, names))
            if least is None or candidate < least:
                least, found = candidate, [number]
            elif candidate == least:
                found.append(number)
        assert least is not None
        return least[1], found

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

    def _rename_set(self, messages: Messages, names: int) -> Messages:
        if not names or not messages:
            return messages
        key = messages, names
        renamed = self._renamed_sets.get(key)
        if renamed is None:
            renamed = 0
            for each in bits(messages):
                renamed |= 1 << self._rename("message", each, names)
            if len(self._renamed_sets) >= REMEMBERED_MAX:
                self._renamed_sets.clear()
            self._renamed_sets[key] = renamed
        return renamed

    # --- the way to a violation ---

    def _trace(self, found: FoundError) -> tuple[Step, ...]:
        """The steps from the beginning, with the names that the members had there."""
        way = [(found.place, found.action)]
        renamings: list[int] = []
        number = found.parent
        while number >= 0:
            number, (place, action, names) = self._reached.before(number)
            renamings.append(names)
            way.append((place, action))
        way.pop()  # Nothing leads to the first state.
        steps = []
        back = {each: each for each in self._ids}  # from the names in a state to those at first
        for (place, action), names in zip(reversed(way), reversed(renamings), strict=True):
            order = self._names[names]
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


def bits(messages: Messages) -> Iterator[int]:
    """The numbers of the messages in a set."""
    while messages:
        least = messages & -messages
        yield least.bit_length() - 1
        messages ^= least


def _moved(values: Sequence[int], names: tuple[int, ...]) -> list[int]:
    """The values of members, each at the place of the member's new name."""
    moved = list(values)
    for place, value in enumerate(values):
        moved[names[place]] = value
    return moved


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
    places = range(len(world.ids))
    return [
        order
        for order in permutations(places)
        if all(order[number - 1] == number - 1 for number in world.named)
    ]
