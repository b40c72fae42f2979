"""The operator of a simulated cluster: changes its members through the client protocol, and looks
after hosts - starts new members, removes those that lost their disk, and never loses a quorum.

It chooses what to do with what only the simulation knows; what it does, an operator could do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from actors.raft.membership import Membership
from cluster.client.engine.call import Call
from cluster.faults import name_of
from tests.simulation.clients import Endpoint
from tests.simulation.saved import require

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster
    from tests.simulation.node import Node

ROUND_MS = 40
TIMEOUT_SECONDS = 2.0
VOTERS_MIN = 3
WAIT_FOR_WELCOME_MS = 1_500


class Operator(Endpoint):
    """Does what it is ordered to, and what must be done."""

    def __init__(self, cluster: Cluster, number: int) -> None:
        super().__init__(cluster, number, exactly_once=False)
        self.is_finishing = False
        self._outstanding = 0
        # In which term each transfer of leadership was asked for.
        self._moves: dict[Call, int] = {}
        self._joining_since_ms: dict[int, int] = {}
        self.timeline.after(ROUND_MS, "upkeep", self._round)

    # --- what may be lost ---

    def may_lose(self, node: Node) -> bool:
        """Whether every set of voters that counts anywhere has a majority of disks without it."""
        member = node.member_id
        if not member or node.is_damaged or member in self.cluster.lost_members:
            return False
        if self._outstanding:
            return False  # a leader that has just heard it would count on it
        # Who has not started yet needs most of the others to say who it is.
        started = {each.member_id for each in self.cluster.nodes.values()} - {member}
        gone = self._gone() | {member}
        for membership in self.memberships():
            gone |= membership.configuration.all_voters() - started
            for voters in (membership.voters, membership.outgoing):
                if member in voters and len(voters - gone) < len(voters) // 2 + 1:
                    return False
        return True

    def lose(self, node: Node) -> None:
        """A host's disk is replaced by an empty one: the member that it was is gone for good."""
        if node.is_up:
            node.crash(power=True)
        self._reformat(node)
        self.cluster.counts["disks lost"] += 1

    def forget(self, node: Node) -> None:
        """A host's disk is emptied, and nobody notices: the member is started as before."""
        if node.is_up:
            node.crash(power=True)
        node.forget()
        self.cluster.counts["disks emptied"] += 1

    def _gone(self) -> set[int]:
        nodes = self.cluster.nodes.values()
        doubtful = {node.member_id for node in nodes if node.is_damaged or node.is_unproven}
        return self.cluster.lost_members | doubtful

    def memberships(self) -> Iterator[Membership]:
        """Those that hold at the end of some member's log, on disk or in memory."""
        checker = self.cluster.checker
        yield self.cluster.members
        for node in self.cluster.nodes.values():
            if node.runs:
                yield node.core.roster.latest
            if node.member_id:
                saved = checker.saved(node.member_id)
                if saved.entries:
                    last = saved.entries[-1]
                    yield checker.lineage.membership((last.index, last.term))

    def _reformat(self, node: Node) -> None:
        if node.member_id:
            self.cluster.lost_members.add(node.member_id)
        node.format()
        node.is_wanted = False

    # --- orders ---

    def order(self, name: str, words: tuple[str, ...]) -> None:
        """Change the members, or who leads; `pick` chooses whom."""
        pick = int(words[-1])
        if name == "transfer":
            self._transfer(pick)
        elif not self._gone() & self.cluster.members.configuration.all_voters():
            self._change(words[0], pick)

    def _transfer(self, pick: int) -> None:
        leader = self.cluster.leader()
        voters = sorted(self.cluster.members.voters)
        if leader is not None:
            target = voters[pick % len(voters)]
            call = self._ask({"op": "move_leader", "targetID": target}, pinned=leader.number)
            self._moves[call] = leader.core.term

    def _change(self, kind: str, pick: int) -> None:
        members = self.cluster.members
        voters, learners = sorted(members.voters), sorted(members.learners)
        spares = self._spares()
        leader = self.cluster.leader()
        match kind:
            case "learner" if spares and not learners:
                self._add(spares[pick % len(spares)], learner=True)
            case "voter" if spares:
                self._add(spares[pick % len(spares)], learner=False)
            case "promote" if learners:
                self._ask({"op": "member_promote", "ID": learners[0]})
            case "remove" if len(voters) > VOTERS_MIN or learners:
                removable = learners + (voters if len(voters) > VOTERS_MIN else [])
                self._ask({"op": "member_remove", "ID": removable[pick % len(removable)]})
            case "leader" if leader is not None and len(voters) > VOTERS_MIN:
                self._ask({"op": "member_remove", "ID": leader.member_id})
            case "replace" if spares:
                spare = spares[pick % len(spares)]
                member = voters[pick // 7 % len(voters)]
                if leader is not None and pick & 1:
                    member = leader.member_id
                self._begin_joining(spare)
                self._ask({"op": "member_replace", "ID": member, "peerURLs": [spare.url]})
            case _:
                pass  # nobody is there for that just now

    def _add(self, node: Node, learner: bool) -> None:
        self._begin_joining(node)
        self._ask({"op": "member_add", "peerURLs": [node.url], "isLearner": learner})

    def _spares(self) -> list[Node]:
        """Hosts that nobody uses."""
        urls = {url for each in self.memberships() for peer in each.peers for url in peer.peer_urls}
        return [
            node
            for node in self.cluster.nodes.values()
            if not node.is_up and not node.member_id and node.url not in urls
        ]

    def _begin_joining(self, node: Node) -> None:
        """Start a new member; it asks the others who it is until they know."""
        node.is_wanted = True
        self._joining_since_ms[node.number] = self.timeline.now_ms
        node.start()

    def _ask(self, fields: dict[str, Any], pinned: int = 0) -> Call:
        call = Call(fields, TIMEOUT_SECONDS, write=True, pinned=str(pinned) if pinned else None)
        call.repeatable = True
        self._outstanding += 1
        self.core.calls.begin(call, self.now)
        self.pump()
        return call

    def completed(self, call: Call) -> None:
        self._outstanding -= 1
        op = call.fields["op"]
        if call.error is None:
            self.cluster.counts[f"done: {op}"] += 1
            if op == "move_leader":
                target, since = call.fields["targetID"], self._moves[call]
                has_led = self.cluster.checker.has_led(target, since)
                require(has_led, f"leadership moved to {target:x}, which has not led since")
        else:
            name = name_of(call.error.message) or type(call.error).__name__
            self.cluster.counts[f"{op}: {name}"] += 1

    # --- what must be done ---

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be done."""
        members = self.cluster.members
        ids = {peer.id for peer in members.peers}
        return not (self._outstanding or members.is_joint or ids & self.cluster.lost_members)

    def _round(self) -> None:
        for node in self.cluster.nodes.values():
            if node.refusal:
                self._reformat(node)
            elif node.is_removed and not node.is_up:
                self._reformat(node)
                self.cluster.counts["hosts free again"] += 1
        members = self.cluster.members
        self._start_members()
        self._retire()
        if not self._outstanding:
            self._repair(members)
        self.timeline.after(ROUND_MS, "upkeep", self._round)

    def _start_members(self) -> None:
        """Every member runs on its host: new ones count as soon as a log has them."""
        members = {peer.id: peer for each in self.memberships() for peer in each.peers}
        current = {peer.id for peer in self.cluster.members.peers}
        for peer in members.values():
            node = self.cluster.host_of(peer.peer_urls[0])
            if peer.id in self.cluster.lost_members or node.member_id == peer.id:
                continue
            if node.is_up and not node.member_id:
                continue  # it is asking
            if node.member_id:
                if node.member_id in members or peer.id not in current:
                    continue
                # It is who was to be added here earlier, which never came to be.
                if node.is_up:
                    node.crash(power=False)
                self._reformat(node)
            self._begin_joining(node)

    def _retire(self) -> None:
        """A new member that nobody knows after a long time was not added."""
        known = {url for each in self.memberships() for p in each.peers for url in p.peer_urls}
        for number, since_ms in list(self._joining_since_ms.items()):
            node = self.cluster.nodes[number]
            if node.member_id or not node.is_wanted:
                del self._joining_since_ms[number]
            elif self.timeline.now_ms - since_ms > WAIT_FOR_WELCOME_MS and node.url not in known:
                del self._joining_since_ms[number]
                node.is_wanted = False
                if node.is_up:
                    node.crash(power=False)
                self._reformat(node)

    def _repair(self, members: Membership) -> None:
        """Remove members that lost their disk; see that there are enough voters."""
        lost = sorted(peer.id for peer in members.peers if peer.id in self.cluster.lost_members)
        if lost:
            self._ask({"op": "member_remove", "ID": lost[0]})
        elif len(members.voters) < self.cluster.first_size and not self.is_finishing:
            learners = _sound(members.learners, self.cluster.lost_members)
            spares = self._spares()
            if learners:
                self._ask({"op": "member_promote", "ID": learners[0]})
            elif spares:
                self._add(spares[0], learner=True)


def _sound(members: Iterable[int], lost: set[int]) -> list[int]:
    return sorted(member for member in members if member not in lost)
