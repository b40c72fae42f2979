"""Raft as this project does it: what one member may do, and what it may say. Begin to read here.

A member's state is a value (`state.py`). An action is a function from it to the next state, or to
None where a guard forbids it. There is no clock, network or disk: any timeout may pass at any
moment; what was said once may be heard late, never, twice, or after what was said later; a crash
takes a member back to its disk. So this says what must never go wrong, not how soon all goes well.

Each part names the sections of Ongaro's dissertation that it is to be held against. When a message
may leave is in `saying.py`, what all members together must keep in `invariants.py`. `refinement.py`
holds every step of the shipped code against these actions.
"""

from __future__ import annotations

from tests.spec.state import (
    NO_OP,
    NOBODY,
    Ack,
    Append,
    Beat,
    BeatAnswer,
    Clock,
    Config,
    Disk,
    Entry,
    Lead,
    Member,
    Read,
    RequestVote,
    Role,
    Snapshot,
    TellRead,
    TimeoutNow,
    Vote,
    raised,
)

# --- terms (3.3) ------------------------------------------------------------------------------


def in_term(m: Member, term: int) -> Member:
    """A member that meets a later term enters it, follows nobody there and has a vote to give.

    Acknowledgements that are still owed are dropped: the next leader may replace those entries.
    """
    if term <= m.term:
        return m
    owed = tuple(each for each in m.owed if not isinstance(each, Ack))
    return m._replace(term=term, vote=NOBODY, proven=0, owed=owed).following(NOBODY)


def hear_term(m: Member, term: int) -> Member | None:
    """Any message of a later term makes a member enter it, but a request for a vote need not."""
    return in_term(m, term) if term > m.term else None


def step_down(m: Member) -> Member | None:
    """A leader gives up when it hears no quorum for an election timeout (6.2), or when its removal
    is committed (4.2.2); a candidate, when a majority refuses."""
    return m.following(NOBODY) if m.role is not Role.FOLLOWER else None


# --- elections (3.4, 3.6.1; pre-vote 9.6; disruptive servers 4.2.3) ---------------------------


def lose_touch(m: Member) -> Member | None:
    """An election timeout has passed without a word of the leader: votes may go to others."""
    return m._replace(hears=False) if m.role is Role.FOLLOWER and m.hears else None


def lose_connection(m: Member, peer: int) -> Member | None:
    """The connection to the leader broke, so its process is likely gone: follow nobody, and stand
    soon. If only this connection broke, the others still hear the leader and refuse."""
    is_leader = m.role is Role.FOLLOWER and m.leader == peer
    return m._replace(leader=NOBODY, hears=False) if is_leader else None


def stand_before(m: Member) -> Member | None:
    """Ask who would vote for this member in the next term, without entering it (9.6). Votes that
    are still under way for a candidacy in its present term go on to count."""
    if m.role is Role.LEADER or not m.may_stand:
        return None
    votes = m.votes
    asking = m.following(NOBODY)._replace(role=Role.PRE_CANDIDATE, pre_votes=frozenset({m.id}))
    return asking._replace(votes=votes)


def stand(m: Member, handed: bool = False) -> Member | None:
    """Enter the next term as a candidate: a quorum would vote for it, or the leader wants it."""
    would_win = m.role is Role.PRE_CANDIDATE and m.log.config.quorum(m.pre_votes)
    if m.role is Role.LEADER or not m.may_stand or not (would_win or handed):
        return None
    own = in_term(m, m.term + 1)._replace(role=Role.CANDIDATE, vote=m.id)
    others = sorted((m.log.config.voters | m.log.config.outgoing) - {m.id})
    asked = (RequestVote(m.id, peer, own.term, False, m.log.last, handed) for peer in others)
    return own.owe(*asked)


def lose_hope(m: Member) -> Member | None:
    """A member that may not stand hears no leader: it may have been removed without knowing it."""
    return m.following(NOBODY) if m.role is Role.FOLLOWER and not m.may_stand else None


def hear_request(m: Member, said: RequestVote, willing: bool = True) -> Member | None:
    """Vote once a term (3.4), for a log that is no older (3.6.1), while no leader is heard (4.2.3).

    A member may refuse for a reason of its own. A pre-vote promises nothing.
    """
    if said.term > m.term and m.hears and not said.handed:
        return None
    if not said.pre:
        m = in_term(m, said.term)
    is_later = said.term > m.term
    free = m.vote == said.source or is_later or m.vote == m.leader == NOBODY
    up_to_date = (said.last.term, said.last.at) >= (m.log.last.term, m.log.last.at)
    if said.term < m.term or not (free and up_to_date and willing):
        return m.owe(Vote(m.id, said.source, m.term, said.pre, False))
    if not said.pre:
        m = m._replace(vote=said.source)
    return m.owe(Vote(m.id, said.source, said.term, said.pre, True))


def hear_vote(m: Member, said: Vote) -> Member | None:
    """Count an answer; the last one of each voter stands."""
    if said.pre and said.granted:
        is_wanted = m.role is Role.PRE_CANDIDATE and said.term == m.term + 1
        return m._replace(pre_votes=m.pre_votes | {said.source}) if is_wanted else None
    if said.term != m.term or m.role not in (Role.CANDIDATE, Role.PRE_CANDIDATE):
        return hear_term(m, said.term)
    if said.pre:
        return m._replace(pre_votes=m.pre_votes - {said.source})
    own = {said.source} if said.granted else set()
    return m._replace(votes=m.votes - {said.source} | own)


def win(m: Member) -> Member | None:
    """Lead, by the votes of a quorum; the own one counts once it is on the disk.

    A leader opens its term with an entry of its own (6.4), at no earlier time than any it knows.
    """
    own = {m.id} if (m.disk.term, m.disk.vote) == (m.term, m.id) else set()
    if m.role not in (Role.CANDIDATE, Role.PRE_CANDIDATE) or m.vote != m.id:
        return None
    if not m.log.config.quorum(m.votes | own):
        return None
    last_ms = m.log.entries[-1].time if m.log.entries else 0
    clock = m.clock._replace(ms=max(m.clock.ms, last_ms))
    log = m.log.append([Entry(m.term, clock.ms, NO_OP)])
    lead = Lead(opened=log.last.at)
    return m.following(m.id)._replace(role=Role.LEADER, clock=clock, log=log, lead=lead)


# --- the leader's log (3.5, 3.6.2) ------------------------------------------------------------


def propose(m: Member, entries: tuple[Entry, ...]) -> Member | None:
    """A leader appends commands at its end, with its term and the present cluster time. It takes
    none while it hands over (3.10)."""
    if m.lead is None or m.lead.target != NOBODY:
        return None
    own = all((each.term, each.time) == (m.term, m.clock.ms) for each in entries)
    commands = not any(isinstance(each.what, Config) for each in entries)
    return m._replace(log=m.log.append(entries)) if own and commands else None


def hear_ack(m: Member, said: Ack) -> Member | None:
    """A peer holds this leader's log up to an index. A rejection only says where to ask next."""
    if said.term != m.term or m.lead is None:
        return hear_term(m, said.term)
    is_peer = said.source in m.log.config.members - {m.id}
    if not is_peer or not said.accepted or said.index > m.log.last.at:
        return None
    return m._replace(lead=m.lead._replace(match=raised(m.lead.match, said.source, said.index)))


def commit(m: Member, index: int) -> Member | None:
    """A leader commits what a quorum holds, if it ends with an entry of its own term (3.6.2).

    From its first commit on it can tell what a read needs.
    """
    if m.lead is None or index <= m.commit:
        return None
    if m.log.term_at(index) != m.term or not m.agreed(index):
        return None
    reads = frozenset(r._replace(index=index) if r.index is None else r for r in m.lead.reads)
    return m._replace(commit=index, lead=m.lead._replace(reads=reads))


# --- a follower's log (3.5) -------------------------------------------------------------------


def follow(m: Member, said: Append | Beat | Snapshot) -> Member | None:
    """Follow the sender of a message that only the leader of a term sends."""
    if said.term < m.term or (said.term == m.term and m.lead is not None):
        return None
    return in_term(m, said.term).following(said.source)


def hear_append(m: Member, said: Append) -> Member | None:
    """Take a leader's entries where they follow what is here. Only a conflict removes entries.

    The message proves that the logs match up to its end, so no more is acknowledged or committed.
    """
    if (heard := follow(m, said)) is None:
        return None
    m = heard
    if said.prev.at < m.commit:  # late; what is committed here is the leader's (3.6.3)
        return m.owe(Ack(m.id, said.source, m.term, m.commit, True))
    if m.log.term_at(said.prev.at) != said.prev.term:
        return m.owe(Ack(m.id, said.source, m.term, said.prev.at, False))
    log = m.log
    for kept, entry in enumerate(said.entries):
        if log.term_at(said.prev.at + 1 + kept) != entry.term:
            log = log.cut(said.prev.at + kept).append(said.entries[kept:])
            break
    proven = said.prev.at + len(said.entries)
    ms = log.entries[proven - log.start.at - 1].time if proven > log.start.at else 0
    m = m._replace(clock=m.clock.heard(said.term, ms)) if ms else m
    known = max(m.commit, min(said.commit, proven))
    m = m._replace(log=log, commit=known, proven=max(m.proven, proven))
    return m.owe(Ack(m.id, said.source, m.term, proven, True))


def hear_beat(m: Member, said: Beat) -> Member | None:
    """Take the commit index, which is never beyond what this member has acknowledged; answer."""
    heard = follow(m, said)
    if heard is None or said.commit > heard.log.last.at:
        return heard
    clock, known = heard.clock.heard(said.term, said.ms), max(heard.commit, said.commit)
    answer = BeatAnswer(m.id, said.source, heard.term, said.round)
    return heard._replace(clock=clock, commit=known).owe(answer)


def apply(m: Member, index: int) -> Member | None:
    """The state machine takes what is committed, and on this member's disk (3.5)."""
    return m._replace(applied=index) if m.applied < index <= m.commit and m.holds(index) else None


# --- the disk (3.8; figure 3.1: persistent state is updated before responding) ----------------


def save(m: Member) -> Member:
    """Begin to save term, vote and log; what changes meanwhile waits for the next save."""
    return m._replace(saving=Disk(m.term, m.vote, m.log))


def saved(m: Member) -> Member | None:
    """What was being saved is on the disk."""
    return m._replace(disk=m.saving, saving=None) if m.saving is not None else None


def restart(m: Member, disk: Disk, known: int, applied: int, ms: int) -> Member | None:
    """After a crash: a save under way has reached the disk as a whole, or not at all. The commit
    index may be that of any earlier moment, and the clock is the last entry's, by its leader."""
    if disk not in (m.disk, m.saving) or known > m.commit or applied > min(known, m.applied):
        return None
    new = Member(m.id, disk, disk.term, disk.vote, disk.log, barred=m.barred)
    return new._replace(commit=known, applied=applied, clock=Clock(disk.log.last.term, ms))


# --- members (4.1, 4.2, 4.3) ------------------------------------------------------------------


def change(m: Member, config: Config) -> Member | None:
    """Begin a change: one at a time, after the leader's first commit; of voters only jointly."""
    old = m.log.config
    if m.lead is None or m.commit < max(m.lead.opened, m.log.configs[-1][0]) or old.outgoing:
        return None
    joint = config.outgoing == old.voters and bool(config.voters)
    one_step = joint or (not config.outgoing and config.voters == old.voters)
    new = config.voters | config.learners
    return _reconfigure(m, config) if one_step and not new & old.removed else None


def finish(m: Member) -> Member | None:
    """The joint configuration is committed: the new voters decide alone from now on (4.3)."""
    joint = m.log.config
    if m.lead is None or not joint.outgoing or m.commit < m.log.configs[-1][0]:
        return None
    return _reconfigure(m, joint._replace(outgoing=frozenset()))


def _reconfigure(m: Member, config: Config) -> Member:
    assert m.lead is not None
    match = tuple(each for each in m.lead.match if each[0] in config.members)
    answered = tuple(each for each in m.lead.answered if each[0] in config.members)
    log = m.log.append([Entry(m.term, m.clock.ms, config)])
    return m._replace(log=log, lead=m.lead._replace(match=match, answered=answered))


# --- snapshots (5.1, 5.3) ---------------------------------------------------------------------


def compact(m: Member, index: int) -> Member | None:
    """Forget entries that the state machine holds."""
    return m._replace(log=m.log.compact(index)) if m.log.start.at < index <= m.applied else None


def hear_snapshot(m: Member, said: Snapshot) -> Member | None:
    """The leader offers its state machine. A member that does not need it says what it holds."""
    heard = follow(m, said)
    if heard is None or said.last.at > heard.commit:
        return heard
    return heard.owe(Ack(m.id, said.source, heard.term, heard.commit, True))


def expect(m: Member) -> Member:
    """A snapshot has arrived: save the term in which it came before it takes any place."""
    return m._replace(saving=m.disk._replace(term=m.term, vote=m.vote))


def install(m: Member, said: Snapshot) -> Member | None:
    """The leader's state machine takes the place of this one, on the disk at once; save the rest.

    A crash between the two must not leave a term before that of the log's last entry (3.3).
    """
    at, clock = said.last.at, m.clock.heard(said.term, said.ms)
    if at <= m.applied or m.disk.term < said.last.term:
        return None
    log, there = (each.behind(said.last, said.config) for each in (m.log, m.disk.log))
    new = m._replace(log=log, disk=m.disk._replace(log=there), saving=Disk(m.term, m.vote, log))
    answer = Ack(m.id, said.source, said.term, at, True)
    return new._replace(commit=max(m.commit, at), applied=at, clock=clock).owe(answer)


# --- handing over (3.10) ----------------------------------------------------------------------


def hand_over(m: Member, target: int) -> Member | None:
    """Take no more proposals, until the target leads or the leader gives up (NOBODY)."""
    may = m.lead is not None and (target == NOBODY or target in m.log.config.voters)
    return m._replace(lead=m.lead._replace(target=target)) if m.lead and may else None


def hear_timeout_now(m: Member, said: TimeoutNow) -> Member | None:
    """The leader wants this member to take its place."""
    if said.term != m.term:
        return hear_term(m, said.term)
    return stand(m, handed=True) if m.leader == said.source else None


# --- reads (6.4), and cluster time (DESIGN.md#cluster-time) -----------------------------------


def hear_read(m: Member, source: int, read: int) -> Member | None:
    """A leader notes what is committed now, which it knows from its first commit on. A round that
    begins later must confirm that it leads."""
    if m.lead is None:
        return None
    index = m.commit if m.commit >= m.lead.opened else None
    asked = Read(source, read, index, m.lead.round + 1)
    return m._replace(lead=m.lead._replace(reads=m.lead.reads | {asked}))


def begin_round(m: Member) -> Member | None:
    """The heartbeats that follow ask for an answer to a new round."""
    return m._replace(lead=m.lead._replace(round=m.lead.round + 1)) if m.lead else None


def hear_answer(m: Member, said: BeatAnswer) -> Member | None:
    """A peer answers a round: when it did, it had followed no later leader."""
    if said.term != m.term or m.lead is None or said.round > m.lead.round:
        return hear_term(m, said.term)
    answered = raised(m.lead.answered, said.source, said.round)
    return m._replace(lead=m.lead._replace(answered=answered))


def answer_read(m: Member, asked: Read) -> Member | None:
    """The round of a read was answered by a quorum: this member still led when the read came."""
    lead = m.lead
    if lead is None or asked not in lead.reads or asked.index is None or asked.round > lead.round:
        return None
    answering = [peer for peer, last in lead.answered if last >= asked.round]
    if not m.log.config.quorum([m.id, *answering]):
        return None
    m = m._replace(lead=lead._replace(reads=lead.reads - {asked}))
    if asked.source == m.id:
        return m._replace(told=m.told | {(asked.read, asked.index)})
    return m.owe(TellRead(m.id, asked.source, m.term, asked.read, asked.index))


def hear_told(m: Member, said: TellRead) -> Member | None:
    """The leader says what a read of this member's clients needs. A later one may say it first."""
    if said.term < m.term:
        return None
    m = in_term(m, said.term)
    return m._replace(told=m.told | {(said.read, said.index)}) if said.read in m.asked else m


def serve(m: Member, read: int) -> Member | None:
    """Serve a read whose index is applied."""
    if not any(each == read and index <= m.applied for each, index in m.told):
        return None
    told = frozenset(each for each in m.told if each[0] != read)
    return m._replace(asked=m.asked - {read}, told=told)


def pass_time(m: Member, ms: int) -> Member | None:
    """A leader's clock goes on. Entries carry it: by it leases end, on all members alike."""
    return m._replace(clock=m.clock._replace(ms=ms)) if m.lead and ms > m.clock.ms else None
