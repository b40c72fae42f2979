"""Following: what a leader's appends, heartbeats and snapshots mean for the log here (Raft 5.3, 7).

The caller knows that the sender leads. An answer that acknowledges is a promise, and leaves after
the save. Refuses to know of votes.
"""

from __future__ import annotations

from actors.language.entries import Entry
from actors.raft.elector import Elector
from actors.raft.forwarding import Forwarder
from actors.raft.log import LogStart
from actors.raft.outbox import Outbox
from actors.raft.replica import Replica
from actors.raft.rpc import (
    AppendRequest,
    HardState,
    Heartbeat,
    HeartbeatResponse,
    SnapshotChunk,
)
from actors.raft.trial import Trial


class Following:
    """One member's part as a follower."""

    def __init__(
        self,
        elector: Elector,
        replica: Replica,
        outbox: Outbox,
        forwarder: Forwarder,
        trial: Trial,
    ) -> None:
        self._elector = elector
        self._replica = replica
        self._outbox = outbox
        self._forwarder = forwarder
        self._trial = trial

    def take(self, message: AppendRequest | Heartbeat | SnapshotChunk, now_ms: int) -> None:
        """Take a message of the leader's."""
        match message:
            case AppendRequest():
                self._append(message)
            case Heartbeat():
                self._heartbeat(message, now_ms)
            case SnapshotChunk():
                self._offered(message)

    def _append(self, message: AppendRequest) -> None:
        """Take a leader's append, unless it contradicts an entry that is committed here."""
        index = self._replica.contradiction(message)
        if index is None:
            self._outbox.promise(self._replica.accept(message))
        else:
            self._trial.contradict(message.source, index)

    def _heartbeat(self, message: Heartbeat, now_ms: int) -> None:
        """Take the commit index and the time, unless the leader counts on entries not held here."""
        if self._trial.lacks(message, now_ms):
            return
        self._replica.hear(message)
        if not message.answer:
            return
        is_on_probation = self._elector.probation is not None
        if not is_on_probation:
            # Proposals that the last leader refused, for it led no more, have been held until now.
            self._forwarder.pass_on_held(now_ms)
        self._outbox.say(
            HeartbeatResponse(
                source=message.target,
                target=message.source,
                term=self._elector.term,
                stream=message.stream,
                sent_index=message.sent_index,
                last_index=self._replica.log.last_index,
                read_id=message.read_id,
                on_probation=is_on_probation,
            )
        )

    def _offered(self, message: SnapshotChunk) -> None:
        """The courier takes a chunk; here only one that is not needed is answered."""
        commit = self._replica.commit
        if message.last_index <= commit:
            # Without this answer the leader would send the snapshot for ever.
            self._outbox.promise(self._replica.response(message, commit, committed=True))

    def expecting(self) -> tuple[HardState, LogStart]:
        """The hard state and the last saved entry, for the note of a snapshot that has arrived.

        The term may be new with the snapshot, and not saved yet. A crash after the store is
        replaced must not leave a term before that of the snapshot's last entry: this member would
        follow leaders of the past, and could stand in a term whose leader it had heard.
        """
        self._replica.pause()
        saved = self._replica.saved_end()
        return self._all_durable(min(self._replica.commit, saved.index)), saved

    def restored(
        self, start: LogStart, cluster_ms: int, chunk: SnapshotChunk
    ) -> tuple[HardState, tuple[Entry, ...]]:
        """The store holds everything up to `start`; returns the entries after it that are kept."""
        kept = self._replica.restore(start, chunk.term, cluster_ms)
        # The leader that sent the snapshot may have been deposed since: then it gets no answer.
        if self._elector.leader == chunk.source and self._elector.term == chunk.term:
            self._outbox.promise(self._replica.response(chunk, start.index))
        return self._all_durable(self._replica.commit), kept

    def _all_durable(self, commit: int) -> HardState:
        """The hard state, which the caller saves before anything else happens."""
        elector = self._elector
        elector.give_out()
        elector.persisted()
        return HardState(elector.term, elector.vote, commit)
