"""Where others are reached: from the log, from who was asked, and hardly from what they say."""

from __future__ import annotations

from collections.abc import Sequence
from random import getrandbits

import pytest

from actors.language.members import Peer
from actors.language.messages import PeerFrames, Published
from actors.raft.admission import Admission
from actors.raft.codec import PeerCodec, encode_join
from actors.raft.core import RaftCore
from actors.raft.facts import Fact, PeerFound, PeerLost
from actors.raft.membership import UNKNOWN_MEMBERS, Membership, decode, encode, first_membership
from actors.raft.neighbours import ASK_AGAIN_MS, LINKS_MAX, Neighbours
from actors.raft.round_trips import PING_EVERY_MS, RoundTrips
from actors.raft.rpc import (
    Heartbeat,
    HeartbeatResponse,
    Introduction,
    JoinRequest,
    Ping,
    Pong,
    Welcome,
)
from actors.raft.surroundings import Surroundings
from actors.runtime.overruns import NS_PER_MS
from cluster.wire import WireError, pack
from tests.forgery import forged
from tests.log_lines import written
from tests.raft.harness import (
    ELECTION_MS,
    START_MS,
    Addressed,
    make_core,
    peer,
    voters,
    welcome_frame,
)
from tests.raft.test_admission import WITHOUT_3, core_of
from tests.raft.test_raft_actor import CODEC, Shell

STRANGE = 9
OPERATORS = ("tcp://flag1:1", "tcp://flag2:1")


class Wires:
    """Links that keep what is sent, and where; at some URLs there is nobody."""

    def __init__(self) -> None:
        self.urls: dict[int, str] = {}
        self.sent: list[tuple[str, object]] = []
        self.dead: set[str] = set()
        self._codec = PeerCodec(7)

    def update(self, urls: dict[int, str]) -> None:
        self.urls = dict(urls)

    def send(self, member_id: int, frame: bytes) -> bool:
        url = self.urls.get(member_id)
        if url is None or url in self.dead:
            return False
        self.sent.append((url, self._codec.decode(frame)))
        return True

    def close(self) -> None:
        self.urls = {}

    def questions(self) -> dict[str, int]:
        """The URLs that were asked last who is a member, and with which nonce."""
        sent, self.sent = self.sent, []
        return {url: each.nonce for url, each in sent if isinstance(each, JoinRequest)}


class Street:
    """Member 1, which knows some members, and what it is connected to."""

    def __init__(self, core: RaftCore | None = None, asked: Sequence[str] = ()) -> None:
        self.core = core or make_core()
        self.wires = Wires()
        self.admission = Admission(self.core)
        self.now_ns = NS_PER_MS
        self.last_pings: dict[int, Ping] = {}
        self.trips = RoundTrips(self.core.config, lambda: self.now_ns, self.core.elector.facts)
        self.neighbours = Neighbours(
            self.core,
            CODEC,
            self.wires,
            self.admission,
            Surroundings(lambda _: self.wires, (), asked, getrandbits, print),
            self.trips,
        )
        self.neighbours.follow(self.core.roster.latest)

    @property
    def now_ms(self) -> int:
        """The time by which pings are due."""
        return self.now_ns // NS_PER_MS

    def ping(self) -> list[Ping]:
        """The pings that are sent now."""
        self.wires.sent.clear()
        self.neighbours.ping(self.now_ms)
        pings = [each for _, each in self.wires.sent if isinstance(each, Ping)]
        self.last_pings |= {ping.target: ping for ping in pings}
        return pings

    def ping_after(self, ms: int) -> list[Ping]:
        """The pings that are sent this much later."""
        self.now_ns += ms * NS_PER_MS
        return self.ping()

    def pinged_after(self, ms: int) -> list[int]:
        """Whom they go to."""
        return [ping.target for ping in self.ping_after(ms)]

    def answered(self, member: int) -> None:
        """A member answers the last ping to it."""
        self.ping()
        assert self.neighbours.ponged(Pong(member, 1, self.last_pings[member].stamp)) == ""

    def facts(self) -> list[Fact]:
        """What was noted since the last call."""
        return list(self.core.elector.facts.take())

    def ask(self, now_ms: int = START_MS) -> int:
        """Ask; the nonce of the question."""
        self.neighbours.ask(now_ms)
        (nonce,) = set(self.wires.questions().values())
        return nonce

    def answer(self, nonce: int, membership: Membership, source: int = 2) -> str:
        welcome = CODEC.decode(welcome_frame(source, 1, nonce, membership))
        assert isinstance(welcome, Welcome)
        return self.neighbours.welcomed(welcome)


def test_a_stranger_cannot_say_where_it_is_reached() -> None:
    street = Street()
    for number in range(3_000):
        assert street.neighbours.introduced(Introduction(10**6 + number, "tcp://h:1"))
    assert street.neighbours.introduced(Introduction(1, "tcp://h:1")), "nor this member itself"
    assert set(street.wires.urls) == {2, 3}


def test_a_member_has_not_moved_as_long_as_somebody_is_where_it_was() -> None:
    street = Street()
    moved = Introduction(2, "tcp://moved:1")
    assert street.neighbours.introduced(moved)
    assert street.wires.urls[2] == "tcp://host2:2380"
    street.wires.dead.add("tcp://host2:2380")
    assert not street.neighbours.introduced(moved)
    assert street.wires.urls[2] == "tcp://moved:1"
    assert not street.neighbours.introduced(moved)


@pytest.mark.parametrize("url", ["nonsense", "tcp://_foo:1", "tcp://h:0", "ipc://x", "tcp://h:1/"])
def test_where_nobody_can_be_reached_nobody_is(url: str) -> None:
    with pytest.raises(WireError):
        CODEC.decode(forged(CODEC.cluster_id, Introduction(2, url)))


def test_who_is_known_is_asked_about_who_is_not_and_now_and_then_again() -> None:
    street = Street(asked=OPERATORS)
    street.neighbours.ask(START_MS)
    asked = street.wires.questions()
    assert set(asked) == {"tcp://host2:2380", "tcp://host3:2380", *OPERATORS}
    street.neighbours.ask(START_MS + ASK_AGAIN_MS - 1)
    assert street.wires.questions() == {}
    street.neighbours.ask(START_MS + ASK_AGAIN_MS)
    again = street.wires.questions()
    assert set(again) == set(asked)
    assert set(again.values()) != set(asked.values()), "each question has a nonce of its own"


def test_an_answer_to_what_was_asked_names_members_and_where_they_are() -> None:
    street = Street(asked=OPERATORS)
    now = first_membership((peer(2), Peer(3, ("tcp://elsewhere:1",)), peer(STRANGE)))
    assert street.answer(street.ask(), now) == ""
    assert street.admission.is_known(STRANGE)
    # The log's word of who is where goes before a hint; the operator's URLs have served.
    urls = {2: "tcp://host2:2380", 3: "tcp://host3:2380", STRANGE: "tcp://host9:2380"}
    assert street.wires.urls == urls


@pytest.mark.parametrize("off", [1, -1])
def test_an_answer_that_nobody_asked_for_is_not_believed(off: int) -> None:
    street = Street()
    now = first_membership((peer(2), peer(STRANGE)))
    assert street.answer(0, now)
    nonce = street.ask()
    assert street.answer((nonce + off) % 2**64, now)
    later = street.ask(START_MS + ASK_AGAIN_MS)
    assert street.answer(nonce, now), "it was asked for before"
    assert not street.admission.is_known(STRANGE)
    assert street.answer(later, now) == ""


def test_an_answer_to_another_is_not_believed() -> None:
    street = Street()
    frame = welcome_frame(2, 3, street.ask(), first_membership((peer(STRANGE),)))
    welcome = CODEC.decode(frame)
    assert isinstance(welcome, Welcome)
    assert street.neighbours.welcomed(welcome)


def test_a_member_that_joins_asks_where_the_operator_says_that_members_are() -> None:
    street = Street(core_of(UNKNOWN_MEMBERS, term=0), OPERATORS)
    assert street.answer(street.ask(), voters(3), source=3) == ""
    assert street.wires.urls == {each: f"tcp://host{each}:2380" for each in (2, 3)}
    assert street.neighbours.introduced(Introduction(2, "tcp://elsewhere:1"))


def test_urls_that_differ_only_in_scheme_are_one_place() -> None:
    street = Street(asked=("http://host2:2380", "http://flag1:1"))
    street.neighbours.know({})
    street.neighbours.ask(START_MS)
    assert set(street.wires.questions()) == {
        "tcp://host2:2380",
        "tcp://host3:2380",
        "http://flag1:1",
    }
    street.neighbours.welcome(JoinRequest(5, 0, ("http://host3:2380",)), START_MS)
    ((url, _),) = street.wires.sent
    assert url == "tcp://host3:2380"


def test_links_to_those_that_are_no_members_any_more_are_closed_when_there_are_too_many() -> None:
    street = Street()
    for round_ in range(20):
        named = first_membership(tuple(peer(1_000 + 20 * round_ + n) for n in range(20)))
        assert street.answer(street.ask(START_MS + round_ * ASK_AGAIN_MS), named, round_ + 2) == ""
        assert len(street.wires.urls) <= LINKS_MAX
    assert {2, 3, 1_399} <= set(street.wires.urls)


def test_a_member_answers_only_to_members_where_they_are() -> None:
    shell = Shell()
    shell.burst(Published(()))
    for request in (JoinRequest(5, 2, ()), JoinRequest(5, STRANGE, ("tcp://host9:2380",))):
        shell.burst(PeerFrames((encode_join(request),)))
    assert [each.member_id for each in shell.recorder.welcomed] == [2]


def test_a_member_that_was_removed_is_answered_where_it_was() -> None:
    gone = core_of(voters(3), WITHOUT_3, WITHOUT_3.final(), commit=2)
    street = Street(gone)
    street.neighbours.know({})
    street.neighbours.welcome(JoinRequest(5, 3, ()), START_MS)
    ((url, welcome),) = street.wires.sent
    assert url == "tcp://host3:2380"
    assert isinstance(welcome, Welcome)
    assert decode(welcome.membership).has_removed(3)


def test_a_leader_that_the_log_does_not_tell_of_is_followed_once_a_member_names_it() -> None:
    shell = Shell()
    claim = Heartbeat(STRANGE, 1, 3, 3, 0, 0, 0, 0, True)
    shell.hear(claim)
    assert (shell.core.leader, shell.core.term) == (0, 1)
    nonce = shell.recorder.asked[-1].nonce
    now = first_membership((peer(1), peer(2), peer(STRANGE)))
    shell.burst(PeerFrames((welcome_frame(2, 1, nonce, now),)))
    shell.hear(claim)
    assert shell.core.leader == STRANGE
    assert STRANGE in shell.recorder.linked
    (answer,) = [e for e in shell.recorder.take() if isinstance(e, HeartbeatResponse)]
    assert answer.target == STRANGE


def test_a_welcome_of_another_cluster_is_none() -> None:
    with pytest.raises(WireError, match="another cluster"):
        CODEC.decode(PeerCodec(8).encode_welcome(Welcome(2, 1, 8, 5, encode(voters(3)))))
    with pytest.raises(WireError):
        CODEC.decode(pack(("welcome", 2, 1, 7, 5, b"not json")))


def test_a_flood_of_what_is_no_message_is_said_once_of_each_kind_with_where_it_came_from(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shell = Shell()
    other = PeerCodec(8).encode(Heartbeat(2, 1, 3, 3, 0, 0, 0, 0, True))
    later = pack((7, 99, 2, 1, 3))
    frames = [Addressed(each) for each in (other, later) for _ in range(100)]
    shell.burst(PeerFrames(tuple(frames)))
    lines = written(caplog.records)
    said = [each for each in lines if each.startswith("ignored a peer message")]
    assert said == [
        "ignored a peer message from 10.0.0.9: a message of another cluster (8)",
        "ignored a peer message from 10.0.0.9: unknown kind of peer message 99",
    ]


# --- how far others are -----------------------------------------------------------------------

TRIP_NS = 2_500_000


def test_each_other_member_is_pinged_and_its_answer_measures_the_way() -> None:
    street = Street()
    pings = {ping.target: ping for ping in street.ping()}
    assert pings.keys() == {2, 3}
    street.now_ns += TRIP_NS
    assert street.neighbours.ponged(Pong(2, 1, pings[2].stamp)) == ""
    answered, silent = street.trips.read()
    assert (answered.id, answered.is_active, answered.round_trips.counts[-1]) == (2, True, 1)
    assert answered.round_trips.sum == TRIP_NS / 1e9
    assert (silent.id, silent.is_active, silent.round_trips.counts[-1]) == (3, False, 0)


def test_one_that_answers_is_pinged_once_a_second_and_one_that_does_not_more_often() -> None:
    street = Street()
    street.answered(2)
    every_ms = [target for _ in range(1_000) for target in street.pinged_after(1)]
    assert (every_ms.count(2), every_ms.count(3)) == (1, 10)


def test_a_member_that_does_not_answer_in_time_is_lost_and_found_when_it_answers() -> None:
    street = Street()
    street.answered(2)
    assert street.facts() == [PeerFound(2, None)]
    street.pinged_after(1_000)
    street.pinged_after(ELECTION_MS - 1)
    assert street.facts() == [] and street.trips.read()[0].is_active
    assert 2 in street.pinged_after(1)
    assert street.facts() == [PeerLost(2, "timeout")]
    assert not street.trips.read()[0].is_active
    street.pinged_after(5_000)
    street.answered(2)
    assert street.facts() == [PeerFound(2, 5_000 + ELECTION_MS)]


def test_a_member_that_answers_too_late_each_time_stays_lost() -> None:
    street = Street()
    street.answered(2)
    street.facts()
    asked = [each.stamp for each in street.ping_after(1_000) if each.target == 2]
    for _ in range(2 * ELECTION_MS // 100):
        asked += [each.stamp for each in street.ping_after(100) if each.target == 2]
        while street.now_ns - asked[0] > ELECTION_MS * 1_000_000:
            assert street.neighbours.ponged(Pong(2, 1, asked.pop(0))) == "", "it was asked"
    assert street.facts() == [PeerLost(2, "timeout")] and not street.trips.read()[0].is_active
    street.answered(2)
    (found,) = street.facts()
    assert isinstance(found, PeerFound)


def test_a_member_whose_connection_broke_is_found_by_a_later_ping_only() -> None:
    street = Street()
    street.answered(2)
    street.facts()
    (ping,) = [each for each in street.ping_after(1_000) if each.target == 2]
    street.neighbours.lost([2], street.now_ms)
    assert street.neighbours.ponged(Pong(2, 1, ping.stamp)), "it was on its way before"
    assert street.facts() == [PeerLost(2, "connection")]
    street.pinged_after(300)
    street.answered(2)
    assert street.facts() == [PeerFound(2, 300)]


def test_a_ping_that_could_not_leave_makes_nobody_silent() -> None:
    street = Street()
    street.wires.dead = set(street.wires.urls.values())
    street.pinged_after(5_000)
    assert street.facts() == []
    assert street.neighbours.ponged(Pong(2, 1, street.now_ns))


def test_a_ping_is_answered_to_members_only() -> None:
    street = Street()
    assert street.neighbours.pinged(Ping(2, 1, 77)) == ""
    assert street.wires.sent == [("tcp://host2:2380", Pong(1, 2, 77))]
    for ping in (Ping(STRANGE, 1, 77), Ping(2, 3, 77), Ping(1, 1, 77)):
        assert street.neighbours.pinged(ping)
    assert len(street.wires.sent) == 1


def test_an_answer_that_was_not_asked_for_or_comes_twice_counts_nothing() -> None:
    street = Street()
    assert street.neighbours.ponged(Pong(2, 1, 0)), "before the first ping"
    street.ping()
    stamp = street.now_ns
    for pong in (Pong(2, 1, stamp - 1), Pong(STRANGE, 1, stamp), Pong(2, 3, stamp), Pong(2, 1, 0)):
        assert street.neighbours.ponged(pong)
    assert street.neighbours.ponged(Pong(2, 1, stamp)) == ""
    assert street.neighbours.ponged(Pong(2, 1, stamp))
    assert street.trips.read()[0].round_trips.counts[-1] == 1


def test_an_actor_pings_once_a_second_and_answers() -> None:
    now_ns = 5
    shell = Shell(clock_ns=lambda: now_ns)
    shell.lead()
    now_ns += PING_EVERY_MS * NS_PER_MS
    shell.wait(PING_EVERY_MS)
    pings = [each for each in shell.recorder.take() if isinstance(each, Ping)]
    assert pings == [Ping(1, 2, now_ns), Ping(1, 3, now_ns)]
    asked, answered = CODEC.encode_ping(Ping(3, 1, 9)), CODEC.encode_ping(Pong(2, 1, now_ns))
    shell.burst(PeerFrames((asked, answered)))
    assert Pong(1, 3, 9) in shell.recorder.take()
    assert [peer.is_active for peer in shell.actor.counts.trips.read()] == [True, False]
