"""RaftCore: what every message means for the log, for reads and for the requests that wait. Pure.

Inputs are `step`, `tick`, `propose`, `read_index`, `peer_down`, `persisted`. `output` says what to
send and what to make durable, `decided` what follows from what is durable. The clock and the random
source are arguments. Rules are cited as in Raft (extended version) and Ongaro's dissertation.

No part of the core knows it. The elector says who leads, the roster who votes, the replica what the
log holds, the outbox what is to be sent; each other part has one page of the rules. `step` and
`_carry` tell the other parts what happened in one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

from actors.language.entries import Entry, Proposal
from actors.language.members import NOBODY, MemberChange
from actors.raft import rpc
from actors.raft.decisions import Decisions
from actors.raft.elector import Elector, Role
from actors.raft.elector_events import Answered, AskedForVotes, ElectorEvents, Followed, Won
from actors.raft.facts import Cause
from actors.raft.following import Following
from actors.raft.forwarding import Forwarder
from actors.raft.health import best_successor
from actors.raft.leader import Leader
from actors.raft.leading import Leading
from actors.raft.log import LogStart
from actors.raft.member_changes import MemberChanges
from actors.raft.outbox import Outbox
from actors.raft.outcome import CoreConfig, Decided, Output, Recovered, Save
from actors.raft.peers import Peers
from actors.raft.probation import Probation
from actors.raft.proof import Proof
from actors.raft.proposals import ProposalDesk
from actors.raft.reads import LocalReads
from actors.raft.replica import Replica
from actors.raft.roster import Roster
from actors.raft.terms import Verdict
from actors.raft.transfers import Transfers
from actors.raft.trial import Trial
from cluster.faults import MaybeFault


class RaftCore:
    """One member's part in consensus. `chance(n)` gives a random integer 0 <= x < n."""

    def __init__(
        self, config: CoreConfig, recovered: Recovered, now_ms: int, chance: Callable[[int], int]
    ) -> None:
        own_id, log, hard_state = config.member_id, recovered.log, recovered.hard_state
        commit = max(hard_state.commit, recovered.applied_index)  # the saved one may lag
        self.config = config
        self.roster = roster = Roster(own_id, log.first_index - 1, recovered.membership, commit)
        self.elector = elector = Elector(
            config, hard_state, log, roster, now_ms, chance, recovered.probation
        )
        desk, reads = ProposalDesk(config.hold_ms), LocalReads(chance(1 << 48))
        self.replica = replica = Replica(
            own_id, log, roster, commit, recovered.applied_index, recovered.cluster_ms, desk
        )
        outbox = Outbox(elector)
        self._desk, self._reads, self._outbox = desk, reads, outbox
        # The rules on it.
        self._forwarder = forwarder = Forwarder(config, elector, replica, outbox, desk, reads)
        self._transfers = transfers = Transfers(config, elector, roster, outbox)
        self._trial = trial = Trial(config, elector, replica, outbox, chance)
        self._proof = proof = Proof(own_id, elector, replica, roster, outbox, trial)
        others = desk, forwarder, transfers, elector.facts
        self._leading = Leading(config, replica, roster, outbox, *others)
        self._following = Following(elector, replica, outbox, forwarder, trial)
        self._changes = changes = MemberChanges(config, replica, roster, desk, forwarder)
        self.decisions = Decisions(
            config, roster, elector, replica, outbox, desk, reads, changes, transfers, trial, proof
        )
        self.peers = Peers(config, elector, log, now_ms)
        self._counted_index = replica.stable_index

    # --- as the actor sees it ---

    @property
    def term(self) -> int:
        """The present term."""
        return self.elector.term

    @property
    def role(self) -> Role:
        """Follower, candidate or leader, with the state of that role."""
        return self.elector.role

    @property
    def leads(self) -> bool:
        """Whether this member leads."""
        return self.elector.leads_as is not None

    @property
    def leader(self) -> int:
        """The member that leads as far as this one knows; 0: none is known."""
        return self.elector.leader

    @property
    def probation(self) -> Probation | None:
        """What the others have answered, if the disk cannot show what this member has promised."""
        return self.elector.probation

    @property
    def is_full(self) -> bool:
        """Whether the disk is nearly full: proposals that clients wait for are refused then."""
        return self._leading.is_full

    @is_full.setter
    def is_full(self, is_full: bool) -> None:
        self._leading.is_full = is_full

    # --- asked here ---

    def propose(self, proposals: Sequence[Proposal], now_ms: int) -> None:
        """Put commands in the log here, pass them to the leader, or hold them until one is known.

        Proposals that fail come back in `Decided.failed`. A proposal without a ticket and an origin
        is for a leader's log only, and is dropped elsewhere.
        """
        leader = self.elector.leads_as
        if leader is not None:
            self._leading.append(leader, proposals, now_ms)
        else:
            asked = [each for each in proposals if each.ticket or each.origin]
            self._forwarder.pass_on(asked, now_ms)

    def read_index(self, now_ms: int) -> int:
        """Ask for a linearizable read; the id comes back in `Decided.reads` (dissertation 6.4)."""
        return self._forwarder.open_read(now_ms)

    def forget_read(self, read_id: int) -> None:
        """Forget a read for which no client waits any more."""
        self._reads.forget(read_id)

    def change_members(self, change: MemberChange, ticket: int, now_ms: int) -> None:
        """Begin a change of members; applying its last entry answers the ticket."""
        self._changes.ask(self.elector.role, change, ticket, now_ms)

    def transfer(self, target: int, now_ms: int) -> MaybeFault:
        """Hand leadership to a voter; returns an error's name, or "". `Decided` tells the end."""
        self._judge_transfer(now_ms)
        return self._transfers.begin(target, now_ms)

    @property
    def transferee(self) -> int:
        """The member to which this leader is handing over now; 0: to none."""
        return self._transfers.target

    @property
    def best_successor(self) -> int:
        """The voter that lacks least of this leader's log; 0: it does not lead, or has none."""
        leader, voters = self.elector.leads_as, self.roster.configuration.voters
        return NOBODY if leader is None else best_successor(leader, voters)

    def under_way(self) -> bool:
        """Whether proposals that come in now should gather for a moment."""
        leader = self.elector.leads_as
        return self._forwarder.under_way() if leader is None else leader.under_way()

    # --- what arrives ---

    def step(self, message: rpc.Message, now_ms: int) -> None:
        """Take another member's message; one that does not fit or is of an old term is ignored."""
        if not self._proof.may_hear(message):
            return
        verdict = self.elector.judge(message, now_ms)
        if verdict is not Verdict.HANDLE:
            self._carry(self.elector.carry_out(verdict, message, now_ms), now_ms)
            if verdict not in (Verdict.FOLLOW_SENDER, Verdict.STEP_DOWN):
                return
        self._take(message, now_ms)

    def _take(self, message: rpc.Message, now_ms: int) -> None:
        """Act on a message's content; its term is this member's, or does not matter here."""
        elector, leader = self.elector, self.elector.leads_as
        match message:
            case rpc.AppendRequest() | rpc.Heartbeat() | rpc.SnapshotChunk():
                # Only the leader of this term sends them, so the sender is to be followed.
                if events := elector.follow(message.source, now_ms):
                    self._carry(events, now_ms)
                self._following.take(message, now_ms)
            case rpc.AppendResponse():
                if leader is not None and self._trial.heeds(message, now_ms):
                    self._leading.acknowledged(leader, message, now_ms)
                    self._advance(leader, now_ms)
            case rpc.HeartbeatResponse():
                if leader is not None:
                    leader.heartbeat_answered(message, now_ms)
            case rpc.ForwardRequest(proposals=proposals):
                if leader is not None:
                    self._leading.append(leader, proposals, now_ms)
                else:
                    self._forwarder.refuse(proposals, "")  # no error: they may go to another leader
            case rpc.ReadRequest():
                if leader is not None:
                    leader.add_read(message.source, message.read_id, self.replica.commit)
            case rpc.ReadResponse():
                self._reads.confirm(message.read_id, message.index, message.cluster_ms)
            case rpc.VoteRequest():
                self._carry(elector.answer_vote(message, now_ms), now_ms)
            case rpc.VoteResponse():
                self._carry(elector.take_vote(message, now_ms), now_ms)
            case rpc.ForwardRefusal():
                self._desk.refused(message.tickets, message.name, now_ms)
            case rpc.TimeoutNow():
                self._carry(elector.take_over(message.source, now_ms), now_ms)
            case rpc.ChangeRequest():
                self._changes.take(elector.role, message, now_ms)
            case rpc.ChangeRefusal():
                self._changes.fail(message.ticket, message.name)
            case rpc.RemovedNotice():
                self._proof.note_removed()
            case rpc.Contradiction() | rpc.Confession() | rpc.Doubt():
                ending = self._trial.take_word(message, now_ms)
                if ending is not None:
                    self._carry(self._proof.end(ending, now_ms), now_ms)
            case rpc.SnapshotAck():
                pass  # the courier takes it (shipping.py)
            case _:
                assert_never(message)

    def _carry(self, events: ElectorEvents, now_ms: int) -> None:
        """Do what an event of the elector means for the other parts: here, and nowhere else."""
        for event in events:
            match event:
                case AskedForVotes(requests):
                    # After the save: they show a term and a vote that no crash may undo.
                    self._outbox.promises += requests
                case Answered(answer):
                    self._outbox.promise(answer)
                case Followed(leader, is_new_term, was):
                    if is_new_term:
                        self._outbox.drop_acknowledgements()
                    if was is not None:
                        # If it is elected again before it hears another leader's clock, it has to
                        # continue from its own.
                        self.replica.cluster_ms = was.cluster_ms(now_ms)
                    if leader != NOBODY:
                        self._forwarder.leader_found(now_ms)
                case Won():
                    led = self._leading.begin(self.elector.term, now_ms)
                    self.elector.lead(led)
                    self._leading.open_term(led, now_ms)
                case _:
                    assert_never(event)

    def peer_down(self, peer: int, now_ms: int) -> None:
        """The connection to a peer broke. This is only a hint: a wrong one costs no safety."""
        leader = self.elector.leads_as
        if leader is not None:
            leader.lost(peer)
        else:
            self.elector.lost(peer, now_ms)

    def welcomed(self, answer: rpc.Welcome, now_ms: int) -> bool:
        """Take an answer to what this member asked on its probation; False if it did not ask."""
        is_asked = self._proof.welcomed(answer)
        ending = self._proof.weigh(answer) if is_asked else None
        if ending is not None:
            self._carry(self._proof.end(ending, now_ms), now_ms)
        return is_asked

    def admit(self, now_ms: int) -> None:
        """Be a full member from now on: the mark on the disk is gone."""
        self.elector.end_probation(now_ms)
        self._proof.admitted()
        if self.elector.leader != NOBODY:
            self._forwarder.pass_on_held(now_ms)

    # --- time ---

    def tick(self, now_ms: int) -> None:
        """Let time pass: elections, heartbeats, check-quorum, expiry of requests that wait."""
        self._desk.expire(now_ms)
        leader = self.elector.leads_as
        if not self._proof.takes_part:
            self._proof.wait_aside(now_ms)
        elif leader is None:
            self._carry(self.elector.tick(now_ms), now_ms)
        elif not self._leading.maybe_tick(leader, now_ms):
            self._carry(self.elector.step_down(now_ms, Cause.NO_QUORUM), now_ms)
        self._forwarder.ask_reads_again(now_ms)

    @property
    def next_tick_ms(self) -> int:
        """The time at which `tick` has something to do next."""
        leader, transfer_ms = self.elector.leads_as, self._transfers.due_ms
        if leader is not None:
            due_ms, also_ms = leader.due_ms, leader.notice_due_ms
        else:
            due_ms = self.elector.due_ms
            also_ms = self._forwarder.reads_due_ms() if self._reads.asked_ms else None
        if also_ms is not None and also_ms < due_ms:
            due_ms = also_ms
        return due_ms if transfer_ms is None else min(due_ms, transfer_ms)

    def _judge_transfer(self, now_ms: int) -> None:
        """A leader whose successor did not take over in time leads on, and appends what it held."""
        leader = self.elector.leads_as
        if self._transfers.maybe_end(now_ms) and leader is not None:
            self._leading.append(leader, self._desk.take_held(), now_ms)

    # --- what is durable, and what follows ---

    def output(self, now_ms: int) -> Output:
        """Take what is to be sent and made durable; call `persisted` once it is durable.

        Until then other inputs may come, but no other `output` may be taken: see `speak`.
        """
        messages = self.speak(now_ms)
        elector, replica = self.elector, self.replica
        entries = replica.give_out()
        save = None
        # A commit index alone is not worth a sync: after a crash the leader tells it again. It is
        # saved along with the next entries.
        if entries or elector.is_unsaved:
            hard_state = rpc.HardState(elector.term, elector.vote, replica.commit)
            save = Save(hard_state, entries, replica.start_of(entries))
            elector.give_out()
        self._outbox.saving()
        return Output(messages, save)

    def speak(self, now_ms: int) -> tuple[rpc.Message, ...]:
        """Take the messages that may leave at once, whatever is durable."""
        leader = self.elector.leads_as
        if leader is not None:
            self._outbox.say_all(leader.messages(self.replica.commit, now_ms))
        return self._outbox.take()

    def persisted(self, now_ms: int) -> tuple[rpc.Message, ...]:
        """Everything in the last `output` is durable; returns the promises that may leave now."""
        elector, leader = self.elector, self.elector.leads_as
        self.replica.persisted()
        elector.persisted()
        promises = self._outbox.take_promises()
        # From now on this member may count itself, also for what a snapshot has made durable.
        counted, self._counted_index = self._counted_index, self.replica.stable_index
        if leader is not None and self._counted_index != counted:
            self._advance(leader, now_ms)
        elif elector.leader == NOBODY and not elector.is_unsaved:
            self._carry(elector.own_vote_saved(now_ms), now_ms)
        return promises

    def _advance(self, leader: Leader, now_ms: int) -> None:
        """Commit what a majority holds; a leader whose removal is committed steps down."""
        if self.replica.commit == self.replica.log.last_index:
            return  # there is nothing more to commit
        if self._leading.maybe_commit(leader, now_ms) and self._proof.how_it_ends():
            # Not before: until then it manages a cluster without itself (dissertation 4.2.2).
            self._carry(self.elector.step_down(now_ms, Cause.REMOVED), now_ms)

    def decided(self, now_ms: int) -> Decided:
        """Take the entries committed and durable here, the reads that these allow, and the rest."""
        if self._transfers.due_ms is not None:
            self._judge_transfer(now_ms)
        return self.decisions.take(now_ms)

    def has_output(self, now_ms: int) -> bool:
        """Whether `output` would give something."""
        outbox, replica, leader = self._outbox, self.replica, self.elector.leads_as
        if outbox.messages or outbox.promises or self.elector.is_unsaved:
            return True
        if replica.stable_index < replica.log.last_index:
            return True
        return leader is not None and leader.has_messages(replica.commit, now_ms)

    # --- snapshots (Raft 7) ---

    def compact(self, durable_index: int, entries_kept: int, bytes_kept: int) -> int:
        """Forget entries durable in the store, but for a tail; returns the last index gone."""
        index = self.replica.log.tail_start(durable_index, entries_kept, bytes_kept)
        self.replica.compact(index)
        return index

    def snapshot_failed(self, peer: int) -> None:
        """A snapshot did not reach that peer: find out again what it needs."""
        if self.elector.leads_as is not None:
            self.elector.leads_as.snapshot_failed(peer)

    def expecting(self) -> tuple[rpc.HardState, LogStart]:
        """A snapshot has arrived, so no entry is handed out. Note this before Store is told."""
        return self._following.expecting()

    def restored(
        self, start: LogStart, cluster_ms: int, chunk: rpc.SnapshotChunk
    ) -> tuple[rpc.HardState, tuple[Entry, ...]]:
        """A snapshot is installed: the store holds everything up to `start`; `chunk` was its last.

        The WAL must begin anew after `start`, with the hard state and the entries returned, before
        the next output: that has the answer to the leader, which is a promise.
        """
        return self._following.restored(start, cluster_ms, chunk)
