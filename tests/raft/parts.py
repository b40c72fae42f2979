"""The parts of a core without a core: each stands on those below it, made from a few words."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from actors.raft.elector import Elector
from actors.raft.forwarding import Forwarder
from actors.raft.leader import Leader
from actors.raft.log import RaftLog
from actors.raft.membership import Membership
from actors.raft.outbox import Outbox
from actors.raft.outcome import CoreConfig
from actors.raft.probation import Probation
from actors.raft.proposals import ProposalDesk
from actors.raft.reads import LocalReads
from actors.raft.replica import Replica
from actors.raft.roster import Roster
from actors.raft.rpc import HardState
from tests.raft.harness import ELECTION_MS, HEARTBEAT_MS, HOLD_MS, START_MS, entries, voters

CONFIG = CoreConfig(1, HEARTBEAT_MS, ELECTION_MS, HOLD_MS)


class Parts:
    """Those of member 1: `terms` are its log's, and `log` is not committed unless told."""

    def __init__(
        self,
        members: int | Membership = 3,
        terms: Iterable[int] = (),
        commit: int = 0,
        hard_state: HardState | None = None,
        chance: Callable[[int], int] = lambda limit: 0,
        probation: Probation | None = None,
    ) -> None:
        self.log = RaftLog(0, 0, entries(1, *terms))
        membership = voters(members) if isinstance(members, int) else members
        state = hard_state or HardState(self.log.last_term, 0, commit)
        self.roster = Roster(1, 0, membership, commit)
        self.elector = Elector(CONFIG, state, self.log, self.roster, START_MS, chance, probation)
        self.outbox = Outbox(self.elector)
        self.desk = ProposalDesk(HOLD_MS)
        self.reads = LocalReads(0)
        self.replica = Replica(1, self.log, self.roster, commit, 0, 0, self.desk)
        self.forwarder = Forwarder(
            CONFIG, self.elector, self.replica, self.outbox, self.desk, self.reads
        )

    def save(self) -> None:
        """Everything in the log is saved."""
        self.replica.give_out()
        self.replica.persisted()

    def lead(self, term: int = 1) -> Leader:
        """Be the leader of a term, as if the election had been won."""
        self.elector.give_vote_away(term)
        configuration = self.roster.configuration
        leader = Leader(1, term, configuration, self.log, 0, START_MS)
        self.elector.lead(leader)
        self.elector.give_out()
        self.elector.persisted()
        return leader
