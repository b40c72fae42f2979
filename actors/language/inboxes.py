"""The messages that each actor of a node is told, the most frequent first.

An actor's `receive` has a case for each; a type checker sees one that is missing.
"""

from __future__ import annotations

from actors.language.audit import WatchAnswered
from actors.language.auth import AuthNews, WatchRights
from actors.language.members import Knock
from actors.language.messages import (
    Accuse,
    Apply,
    ChangeMembers,
    ClientFrames,
    Compacted,
    Computed,
    ConfirmedRead,
    Congestion,
    ConnectionGone,
    CopyMade,
    Defragment,
    Deliver,
    Durable,
    Events,
    Failed,
    HandOver,
    HistoryCut,
    HistoryPortion,
    InstallSnapshot,
    Leadership,
    LeaseFacts,
    Lengthy,
    LocalRead,
    Moved,
    MoveLeader,
    NoRoom,
    PeerFrames,
    PeersDown,
    Propose,
    Published,
    Read,
    ReadHistory,
    ReadSnapshot,
    Replies,
    Room,
    RoomToTell,
    Skipped,
    SnapshotInstalled,
    SnapshotTaken,
    Synced,
    TakeSnapshot,
    Tick,
    WatchBegin,
    WatchCancel,
    WatchOpen,
    WatchProgress,
)
from actors.language.metrics import Survey

ToGateway = (
    ClientFrames
    | Replies
    | Deliver
    | Tick
    | Failed
    | Leadership
    | Lengthy
    | Room
    | Moved
    | Survey
    | AuthNews
    | Computed
    | WatchAnswered
)

ToRaft = (
    Propose
    | PeerFrames
    | Read
    | Tick
    | Durable
    | ChangeMembers
    | SnapshotTaken
    | SnapshotInstalled
    | MoveLeader
    | HandOver
    | PeersDown
    | Synced
    | Published
    | Survey
    | Knock
)

ToStore = (
    Apply
    | ConfirmedRead
    | LocalRead
    | Tick
    | WatchOpen
    | WatchCancel
    | WatchProgress
    | ReadHistory
    | Congestion
    | RoomToTell
    | ConnectionGone
    | Leadership
    | TakeSnapshot
    | InstallSnapshot
    | ReadSnapshot
    | NoRoom
    | Defragment
    | CopyMade
    | Compacted
    | Synced
    | Accuse
    | Survey
)

ToWatch = (
    Events
    | HistoryPortion
    | WatchBegin
    | WatchCancel
    | WatchProgress
    | Congestion
    | RoomToTell
    | ConnectionGone
    | Leadership
    | Skipped
    | HistoryCut
    | WatchRights
    | Survey
    | Tick
)

ToLease = LeaseFacts | Tick | Leadership
