"""LinkFaults: what a launcher makes go wrong between its nodes, and each node's part of it.

A fault is of a node (isolated, slow, lossy) or between groups of nodes (a partition). The nodes do
it to themselves, in their own links (actors/runtime/link_faults.py): no rights of root are needed.
Refuses to know how a plan gets to a node, and what comes of it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

from cluster.launcher.nodes.layout import LauncherError
from cluster.link_plan import DELAY_MS_MAX, EVERYBODY, WHOLE, LinkFault, LinkPlan

BOTH: Final = "both"
IN: Final = "in"
OUT: Final = "out"
WAYS: Final = {
    BOTH: ("is isolated", "are each isolated"),
    IN: ("hears no other node", "hear no other node"),
    OUT: ("is heard by no other node", "are heard by no other node"),
}
"""The ways in which a node can be isolated, and the words for each: of one node, of several."""

T = TypeVar("T")


class Linked(Protocol):
    """A node, as far as its links go (cluster/launcher/nodes/node.py)."""

    @property
    def name(self) -> str: ...

    @property
    def member_id(self) -> int: ...

    @property
    def is_removed(self) -> bool: ...

    @property
    def running(self) -> bool: ...

    def plan_links(self, plan: LinkPlan) -> None:
        """Tell it what befalls its links from now on, if it runs."""

    def record_messages(self, on: bool) -> None:
        """Tell it whether to record its messages, if it runs."""


class Delay(NamedTuple):
    """How much longer a message takes: from `delay_ms` to `delay_ms + jitter_ms`."""

    delay_ms: int
    jitter_ms: int


class LinkFaults:
    """What is wrong with the links of a cluster. Raises LauncherError, which names the fault.

    `nodes` are those of the cluster by name, always as they are now. A node is told its plan when
    that changes, and with its start.
    """

    def __init__(self, nodes: Mapping[str, Linked]) -> None:
        self._nodes = nodes
        self.is_recording = False
        self._said: dict[str, LinkPlan] = {}
        self._isolated: dict[str, str] = {}
        self._groups: list[tuple[str, ...]] = []
        self._slow: dict[str, Delay] = {}
        self._lossy: dict[str, float] = {}

    # --- what goes wrong ---

    def isolate(self, name: str, way: str = BOTH) -> None:
        """Cut a node off from all others; `in`: only what is sent to it, `out`: what it sends."""
        self._check("isolate", name)
        if way not in WAYS:
            raise LauncherError(f'isolate: a node is isolated {_either(WAYS)}, not "{way}"')
        self._isolated[name] = way
        self.refresh()

    def partition(self, groups: Sequence[Sequence[str]]) -> tuple[str, ...]:
        """Cut all links between nodes of different groups; those outside the largest group.

        A node in no group keeps its links. One group alone is cut off from all other members.
        """
        named = [name for group in groups for name in group]
        for name in named:
            self._check("partition", name)
            if named.count(name) > 1:
                raise LauncherError(f"partition: {name} is named twice")
        found = [tuple(group) for group in groups]
        if len(found) == 1:
            found.append(tuple(name for name in self._ids() if name not in named))
        if len(found) < 2 or not all(found):
            raise LauncherError("partition: each side needs a node, for example n1,n2 | n3")
        self._groups = found
        self.refresh()
        largest = max(found, key=len)
        return tuple(name for group in found if group is not largest for name in group)

    def slow(self, name: str, delay_ms: int, jitter_ms: int = 0) -> None:
        """Let each message to and from a node take this much longer; `jitter_ms`: at random."""
        self._check("slow", name)
        for what, given_ms in (("delay", delay_ms), ("jitter", jitter_ms)):
            if not 0 <= given_ms <= DELAY_MS_MAX:
                raise LauncherError(f"slow: a {what} is 0 to {DELAY_MS_MAX} ms, not {given_ms} ms")
        if not delay_ms and not jitter_ms:
            raise LauncherError(f"slow: without a delay {name} is not slow; to end it: heal {name}")
        self._slow[name] = Delay(delay_ms, jitter_ms)
        self.refresh()

    def lossy(self, name: str, loss: float) -> None:
        """Lose each message to and from a node with this chance, more than 0 and at most 1."""
        self._check("lossy", name)
        if not 0 < loss <= 1:
            raise LauncherError(f"lossy: a loss is above 0 % and up to 100 %, not {_percent(loss)}")
        self._lossy[name] = loss
        self.refresh()

    def heal(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Make the links of these nodes whole again, or all links; what is no longer wrong.

        A partition of which fewer than two groups are left is over.
        """
        for name in names:
            self._check("heal", name, is_alone_wrong=False)
        before = self.active
        self._forget(set(names) or self._victims)
        self.refresh()
        return tuple(words for words in before if words not in self.active)

    @property
    def active(self) -> tuple[str, ...]:
        """What is wrong now, in words."""
        isolated = [_said_of(names, *WAYS[way]) for way, names in _by_fault(self._isolated)]
        apart = " | ".join(", ".join(group) for group in self._groups)
        slow = [
            f"{_said_of(names, 'is slow', 'are slow')}: {_words_of(delay)}"
            for delay, names in _by_fault(self._slow)
        ]
        lossy = [
            _said_of(names, f"loses {share} of its messages", f"lose {share} of their messages")
            for share, names in _by_fault({n: _percent(x) for n, x in self._lossy.items()})
        ]
        return (*isolated, *([f"{apart} are apart"] if apart else ()), *slow, *lossy)

    def reaches(self, one: str, other: str) -> bool:
        """Whether messages get from each of two nodes to the other."""
        return not (self._on_the_way(one, other).cut or self._on_the_way(other, one).cut)

    # --- what each node is told ---

    def refresh(self) -> None:
        """Tell each node its plan, if that has changed: also when the members have."""
        self._forget(self._victims - self._ids().keys())
        for name, plan in self.plans().items():
            if plan != self._said.get(name, LinkPlan()):
                self._said[name] = plan
                self._nodes[name].plan_links(plan)

    def plan_at_start(self, node: Linked) -> LinkPlan:
        """The plan of a node whose process begins."""
        self._said[node.name] = self.plans().get(node.name, LinkPlan())
        return self._said[node.name]

    def record(self, on: bool) -> None:
        """Let the nodes tell of the messages that they send, or no longer."""
        if on != self.is_recording:
            self.is_recording = on
            for node in self._nodes.values():
                node.record_messages(on)

    def plans(self) -> dict[str, LinkPlan]:
        """Each node's plan: what befalls the frames that it sends, and whom it does not hear.

        Both ends of a cut link know of it: neither sees that the other's process ends. All else is
        done by the sender.
        """
        members = self._ids()
        found = {}
        for name in members:
            outgoing, incoming = self._on_the_way(name, None), self._on_the_way(None, name)
            sent = {EVERYBODY: outgoing}
            heard = {EVERYBODY: LinkFault(cut=incoming.cut)}
            for other, member_id in members.items():
                if other != name:
                    sent[member_id] = self._on_the_way(name, other)
                    heard[member_id] = LinkFault(cut=self._on_the_way(other, name).cut)
            found[name] = LinkPlan(_harmful(sent), _harmful(heard))
        return found

    # --- inside ---

    def _ids(self) -> dict[str, int]:
        """The ids by their names, of members and of removed nodes that still run."""
        nodes = self._nodes.values()
        return {node.name: node.member_id for node in nodes if node.running or not node.is_removed}

    def _on_the_way(self, source: str | None, target: str | None) -> LinkFault:
        """What befalls a message from one node to another; None: a node that is not known."""
        is_cut = (
            self._isolated.get(source or "") in {BOTH, OUT}
            or self._isolated.get(target or "") in {BOTH, IN}
            or self._are_apart(source, target)
        )
        ends = [end for end in (source, target) if end is not None]
        delays = [self._slow[end] for end in ends if end in self._slow]
        arrives = 1.0
        for end in ends:
            arrives *= 1 - self._lossy.get(end, 0.0)
        return LinkFault(
            is_cut,
            min(DELAY_MS_MAX, sum(each.delay_ms for each in delays)),
            min(DELAY_MS_MAX, sum(each.jitter_ms for each in delays)),
            1 - arrives,
        )

    def _are_apart(self, one: str | None, other: str | None) -> bool:
        """Whether these two are in different groups of a partition."""
        places = [at for at, group in enumerate(self._groups) if one in group or other in group]
        return len(places) == 2

    @property
    def _victims(self) -> set[str]:
        named = (name for group in self._groups for name in group)
        return {*self._isolated, *named, *self._slow, *self._lossy}

    def _forget(self, names: set[str]) -> None:
        for name in names:
            self._isolated.pop(name, None)
            self._slow.pop(name, None)
            self._lossy.pop(name, None)
        left = [tuple(each for each in group if each not in names) for group in self._groups]
        left = [group for group in left if group]
        self._groups = left if len(left) > 1 else []

    def _check(self, fault: str, name: str, *, is_alone_wrong: bool = True) -> None:
        members = self._ids()
        if name not in members:
            raise LauncherError(f"{fault}: there is no member {name}; there are {_list(members)}")
        if is_alone_wrong and len(members) == 1:
            raise LauncherError(f"{fault}: {name} is the only member, and has no links to others")


def _harmful(faults: Mapping[int, LinkFault]) -> dict[int, LinkFault]:
    return {member_id: fault for member_id, fault in faults.items() if fault != WHOLE}


def _by_fault(faults: Mapping[str, T]) -> list[tuple[T, list[str]]]:
    """Each fault, and the names of the nodes that have it."""
    found: dict[T, list[str]] = {}
    for name, fault in faults.items():
        found.setdefault(fault, []).append(name)
    return list(found.items())


def _said_of(names: Sequence[str], one: str, several: str) -> str:
    """These names, and the words for one node or for several."""
    *others, last = names
    return f"{', '.join(others)} and {last} {several}" if others else f"{last} {one}"


def _words_of(delay: Delay) -> str:
    longest_ms = delay.delay_ms + delay.jitter_ms
    spread = f"{delay.delay_ms} to {longest_ms}" if delay.jitter_ms else f"{longest_ms}"
    return f"each message takes {spread} ms longer"


def _percent(loss: float) -> str:
    return f"{100 * loss:.4g} %"


def _list(names: Mapping[str, object]) -> str:
    return ", ".join(names)


def _either(names: Mapping[str, object]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"
