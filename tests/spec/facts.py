"""What happened in one step of a member, by name: a world says what must happen in it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.spec.state import Member, Role


def facts_of(before: Member | None, after: Member, kind: str) -> frozenset[str]:
    """The names of what happened between two states of a member."""
    return frozenset(_facts(before, after, kind)) if before is not None else frozenset()


def _facts(before: Member, after: Member, kind: str) -> Iterator[str]:
    if after.lead is not None and before.lead is None:
        yield "a leader is elected"
        yield f"a leader of term {after.term}"
        if after.log.config.outgoing:
            yield "a leader is elected by two sets of voters"
        if before.role is Role.PRE_CANDIDATE:
            yield "a late vote elects a leader"
    if before.lead is not None and after.lead is None:
        yield "a leader is deposed"
        if after.id in after.log.config_at(after.commit).removed:
            yield "a leader is removed"
        if before.lead.target and after.leader == before.lead.target:
            yield "a transfer succeeds"
    if before.role is not Role.FOLLOWER and after.role is Role.FOLLOWER and before.lead is None:
        yield "a candidate gives up"
    if after.commit > before.commit:
        yield "an entry is committed"
        entries = after.log.entries[before.commit - after.log.start.at :]
        if after.lead is not None and entries and entries[0].term < after.term:
            yield "an entry of an earlier term is committed"
    if after.log.config_at(after.commit) != before.log.config_at(before.commit):
        config = after.log.config_at(after.commit)
        yield "a joint configuration is committed" if config.outgoing else "a change is done"
    if kind == "crash":
        yield "a member crashes"
        if after.log.last != before.log.last:
            yield "a crash loses entries"
    elif after.log.last.at < before.log.last.at or _has_lost(before, after):
        yield "entries are replaced"
    if after.log.start.at > before.log.start.at:
        is_own = after.log.start.at <= before.applied
        yield "a log is compacted" if is_own else "a snapshot is installed"


def _has_lost(before: Member, after: Member) -> bool:
    last = before.log.last
    return last.at > after.log.start.at and after.log.term_at(last.at) != last.term
