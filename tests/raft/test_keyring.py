"""The keys of members: who may speak as whom, and how a member changes its key in two entries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pytest

from actors.language.members import AddMember, Peer, RemoveMember, ReplaceMember, SetKeys
from actors.language.messages import ChangeMembers
from actors.raft.admission import Admission
from actors.raft.core import RaftCore
from actors.raft.keyring import (
    ANSWERS_MS,
    HAND_OVER_ELECTIONS,
    OTHERS_KEY,
    Keyring,
    KeySource,
)
from actors.raft.membership import (
    UNKNOWN_MEMBERS,
    Health,
    Membership,
    decode,
    encode,
    first_membership,
    plan,
)
from actors.raft.rpc import (
    Heartbeat,
    Introduction,
    JoinRequest,
    Message,
    NotRafts,
    Ping,
    RemovedNotice,
    VoteResponse,
    Welcome,
)
from cluster.curve import HeldKeys, KeyPair
from tests.raft.harness import ELECTION_MS, START_MS, Solo, peer
from tests.raft.test_admission import core_of, of
from tests.raft.test_callers import Line

OWN = 1


def key(number: int) -> str:
    """A key that is easy to recognize."""
    return f"{number:02x}" * 32


def pair_of(number: int) -> KeyPair:
    """A pair whose secret half nobody here needs."""
    return KeyPair(key(number), "00" * 32)


KEYED: Membership = first_membership(
    tuple(peer(member)._replace(keys=(key(member),)) for member in (1, 2, 3))
)
WELL = Health(frozenset({1, 2, 3}), frozenset(), frozenset())


def planned(*changes: SetKeys | RemoveMember, now: Membership = KEYED) -> Membership:
    """The membership after these changes, one after the other."""
    for change in changes:
        after = plan(now, change, WELL)
        assert isinstance(after, Membership), after
        now = after.final() if after.is_joint else after
    return now


ROTATING = planned(SetKeys(OWN, (key(1), key(11))))
ROTATED = planned(SetKeys(OWN, (key(11),)), now=ROTATING)
WITHOUT_3 = planned(RemoveMember(3))


class Ring:
    """The keyring of member 1, which keeps what it has the locks do."""

    def __init__(
        self, core: RaftCore, held: HeldKeys | None = None, trusted: Mapping[str, str] | None = None
    ) -> None:
        self.core = core
        self.admission = Admission(core)
        self.admitted: set[str] = set()
        self.served: list[KeyPair] = []
        self.pairs: Sequence[KeyPair] = ()
        self.keys: Mapping[int, Sequence[str]] = {}
        self.saved: list[HeldKeys] = []
        self.said: list[ChangeMembers] = []
        self.asked: list[SetKeys] = []
        source = KeySource(
            held or HeldKeys(pair_of(1)), self._save, lambda: pair_of(11), self, trusted or {}
        )
        self.keyring = Keyring(core, self.admission, source, {-1: "tcp://flag:1"})
        self.keyring.lock()

    def _save(self, held: HeldKeys, said: ChangeMembers | None) -> None:
        self.saved.append(held)
        if said is not None:
            self.said.append(said)

    def admit(self, keys: Collection[str]) -> None:
        self.admitted = set(keys)

    def serve(self, pair: KeyPair) -> None:
        self.served.append(pair)

    def use(self, pairs: Sequence[KeyPair], keys: Mapping[int, Sequence[str]]) -> None:
        self.pairs, self.keys = pairs, keys

    def refusal(self, number: int, message: Message | NotRafts) -> str:
        return self.keyring.refusal(key(number), message)


# --- who may speak as whom --------------------------------------------------------------------


def test_a_member_is_believed_under_its_own_key_and_no_other() -> None:
    ring = Ring(core_of(KEYED))
    for message in (*of(2), Introduction(2, "tcp://a:1"), JoinRequest(1, 2, ()), Ping(2, 1, 0)):
        assert ring.refusal(2, message) == ""
        for other in (1, 3, 9):
            assert ring.refusal(other, message) == OTHERS_KEY
        assert ring.keyring.refusal("", message) == OTHERS_KEY


def test_a_member_that_joins_may_ask_who_it_is_and_no_stranger_may() -> None:
    ring = Ring(core_of(KEYED))
    question = JoinRequest(5, 0, ("tcp://host2:2380",))
    assert ring.refusal(2, question) == ""
    assert ring.refusal(9, question) == OTHERS_KEY


def test_the_keys_of_members_are_let_in_and_reached() -> None:
    ring = Ring(core_of(KEYED))
    assert ring.admitted == {key(1), key(2), key(3)}
    assert dict(ring.keys) == {1: (key(1),), 2: (key(2),), 3: (key(3),)}
    assert ring.pairs == [pair_of(1)]


def test_the_key_of_a_removed_member_is_worth_nothing_once_that_is_committed() -> None:
    ring = Ring(core_of(KEYED, WITHOUT_3, commit=1))
    assert ring.admitted == {key(1), key(2)}
    assert ring.refusal(3, of(3)[0]) == OTHERS_KEY
    assert ring.keys[3] == (key(3),), "it is still told of its removal"
    pending = Ring(core_of(KEYED, WITHOUT_3))
    assert key(3) in pending.admitted


def test_a_removed_member_is_told_under_its_last_key_whatever_an_old_answer_says() -> None:
    rotated = planned(SetKeys(3, (key(3), key(13))), SetKeys(3, (key(13),)))
    ring = Ring(core_of(rotated, planned(RemoveMember(3), now=rotated), commit=1))
    assert ring.admission.vouch(2, KEYED)
    ring.keyring.lock()
    assert ring.keys[3] == (key(13),)


def test_a_key_that_was_given_up_is_let_in_by_nobodys_old_answer() -> None:
    ring = Ring(core_of(KEYED, ROTATING, ROTATED, commit=2))
    assert ring.admission.vouch(2, KEYED)
    ring.keyring.lock()
    assert ring.admitted == {key(11), key(2), key(3)}
    assert ring.refusal(1, JoinRequest(1, OWN, ())) == OTHERS_KEY


def test_the_key_of_a_member_that_the_log_does_not_know_is_learned_from_the_others() -> None:
    grown = KEYED._replace(peers=(*KEYED.peers, Peer(4, ("tcp://h:4",), (key(4),))))
    ring = Ring(core_of(KEYED))
    ring.admission.vouch(2, grown._replace(voters=frozenset({1, 2, 3, 4})))
    ring.keyring.lock()
    assert key(4) in ring.admitted
    assert ring.refusal(4, of(4)[0]) == ""


def test_a_member_that_joins_believes_those_that_the_operator_has_named() -> None:
    ring = Ring(core_of(UNKNOWN_MEMBERS), trusted={"tcp://flag:1": key(2)})
    assert ring.admitted == {key(2)}
    assert dict(ring.keys) == {-1: (key(2),)}
    welcome = Welcome(2, OWN, 7, 1, encode(KEYED))
    assert ring.refusal(2, welcome) == ""
    assert ring.refusal(2, welcome._replace(source=3)) == OTHERS_KEY, "it speaks for itself only"
    assert ring.refusal(3, welcome._replace(source=3)) == OTHERS_KEY, "nobody has named that key"
    assert ring.refusal(2, Heartbeat(2, 1, 3, 3, 0, 0, 0, 0, True)) == OTHERS_KEY
    whole = Ring(core_of(KEYED), trusted={"tcp://flag:1": key(9)})
    assert key(9) not in whole.admitted, "the log knows better"


class Under(bytes):
    """A frame that came under a key."""

    key = ""


def under(number: int, message: Message) -> Under:
    """The frame of a message that came under this key."""
    line = Line()
    frame = Under(line.street.neighbours._codec.encode(message))
    frame.key = key(number)
    return frame


def keyed_line(*memberships: Membership, commit: int = 0) -> Line:
    """Callers of member 1 that know keys."""
    core = core_of(KEYED, *memberships, commit=commit)
    return Line(core=core, keyring=Ring(core).keyring)


def test_a_frame_under_anothers_key_never_reaches_the_core() -> None:
    line = keyed_line()
    beat = Heartbeat(2, 1, 9, 9, 0, 0, 0, 0, True)
    (complaint,) = line.hear(under(3, beat))
    assert complaint.text == f"ignored a Heartbeat: {OTHERS_KEY}"
    (complaint,) = line.hear(bytes(under(2, beat)))  # it came under no key at all
    assert complaint.kind == OTHERS_KEY
    assert line.core.leader == 0
    assert line.hear(under(2, beat)) == []
    assert line.core.leader == 2


def test_who_knocks_with_an_unknown_key_is_asked_about_and_a_removed_member_is_told() -> None:
    line = keyed_line(WITHOUT_3, commit=1)
    complaint = line.callers.knocked(key(9), START_MS)
    assert key(9) in complaint.text
    asked = {type(each) for _, each in line.street.wires.sent}
    assert asked == {JoinRequest}
    line.callers.knocked(key(3), START_MS)
    url, notice = line.street.wires.sent[-1]
    assert (url, notice) == (peer(3).peer_urls[0], RemovedNotice(OWN, 3, line.core.term))


# --- the membership ---------------------------------------------------------------------------


def test_a_key_changes_in_two_steps_and_only_so() -> None:
    assert ROTATING.peers[0].keys == (key(1), key(11))
    assert ROTATED.peers[0].keys == (key(11),)
    assert [each.keys for each in ROTATED.peers[1:]] == [(key(2),), (key(3),)]
    for now, keys in (
        (KEYED, (key(11),)),
        (KEYED, (key(11), key(1))),
        (KEYED, ()),
        (ROTATING, (key(1), key(11))),
        (ROTATING, (key(11), key(12))),
        (ROTATING, (key(1),)),
    ):
        assert plan(now, SetKeys(OWN, keys), WELL) == "KeyChangeUnderWay"


def test_the_former_key_goes_when_all_members_know_the_next_one() -> None:
    unheard = WELL._replace(are_informed=False)
    assert plan(ROTATING, SetKeys(OWN, (key(11),)), unheard) == "KeyNotKnown"
    assert plan(KEYED, SetKeys(OWN, (key(1), key(11))), unheard) == ROTATING


@pytest.mark.parametrize("taken", [key(2), key(3), key(1)])
def test_no_member_gets_a_key_that_a_member_has_or_had(taken: str) -> None:
    assert plan(WITHOUT_3, SetKeys(OWN, (key(1), taken)), WELL) == "MemberKeyExist"
    newcomer = Peer(4, ("tcp://h:4",), (taken,))
    assert plan(WITHOUT_3, AddMember(newcomer, learner=True), WELL) == "MemberKeyExist"


def test_members_have_keys_all_or_none() -> None:
    bare = first_membership(tuple(map(peer, (1, 2, 3))))
    keyed, plain = Peer(4, ("tcp://h:4",), (key(4),)), Peer(4, ("tcp://h:4",))
    assert plan(KEYED, AddMember(plain, learner=True), WELL) == "MemberKeyMissing"
    assert plan(KEYED, ReplaceMember(3, plain), WELL) == "MemberKeyMissing"
    assert plan(bare, AddMember(keyed, learner=True), WELL) == "NoMemberKeys"
    assert plan(bare, SetKeys(OWN, (key(1), key(11))), WELL) == "NoMemberKeys"
    assert plan(KEYED, SetKeys(9, (key(1), key(11))), WELL) == "MemberNotFound"
    assert isinstance(plan(KEYED, AddMember(keyed, learner=True), WELL), Membership)


def test_a_membership_with_keys_comes_back_as_it_was_and_one_without_has_no_trace() -> None:
    assert decode(encode(ROTATING)) == ROTATING
    assert decode(encode(WITHOUT_3)) == WITHOUT_3
    bare = encode(first_membership((peer(1),)))
    assert bare == b'{"peers":[[1,["tcp://host1:2380"]]],"voters":[1]}'
    for keys in ("[7]", '["ab"]', f'["{key(1)}","{key(2)}","{key(3)}"]', f'["{"AB" * 32}"]', "7"):
        with pytest.raises(ValueError, match=r"not a membership|hexadecimal"):
            decode(b'{"peers":[[1,["tcp://a:1"],%s]],"voters":[1]}' % keys.encode())


# --- a change of the own key ------------------------------------------------------------------


def following(*memberships: Membership, commit: int) -> RaftCore:
    """Member 1, which follows member 2, with these memberships in its log."""
    core = core_of(KEYED, *memberships, commit=commit)
    core.step(Heartbeat(2, 1, 5, 5, commit, 0, 0, 0, True), START_MS)
    return core


def watched(ring: Ring) -> list[SetKeys]:
    """What the keyring asks the core for from now on."""
    asked = ring.asked
    take = ring.core.change_members

    def note(change: object, ticket: int, now_ms: int) -> None:
        assert isinstance(change, SetKeys)
        asked.append(change)
        take(change, ticket, now_ms)

    ring.core.change_members = note  # type: ignore[method-assign]
    return asked


def test_the_next_pair_is_on_the_disk_before_anybody_hears_of_it() -> None:
    ring = Ring(following(commit=0))
    asked = watched(ring)
    assert ring.keyring.takes(ChangeMembers(SetKeys(OWN), 77), START_MS)
    assert ring.saved == [HeldKeys(pair_of(1), pair_of(11))]
    assert asked == []
    (said,) = ring.said  # what is told when it is saved
    assert said == ChangeMembers(SetKeys(OWN, (key(1), key(11))), 77)
    assert not ring.keyring.takes(said, START_MS), "it goes into the log as it is"
    assert ring.keyring.held.next == pair_of(11)


def test_other_changes_are_not_the_keyrings() -> None:
    ring = Ring(following(commit=0))
    assert not ring.keyring.takes(ChangeMembers(RemoveMember(3), 77), START_MS)
    assert ring.saved == []


def test_when_the_next_key_is_in_it_is_served_and_the_former_one_is_to_go() -> None:
    ring = Ring(following(ROTATING, commit=1), HeldKeys(pair_of(1), pair_of(11)))
    asked = watched(ring)
    assert ring.pairs == [pair_of(1), pair_of(11)], "others may know only one of them"
    assert ring.admitted == {key(1), key(11), key(2), key(3)}
    ring.keyring.tick(START_MS)
    later_ms = START_MS + ANSWERS_MS
    ring.keyring.tick(later_ms - 1)
    assert ring.served == [], "whoever asked for the change has no answer yet"
    ring.keyring.tick(later_ms)
    assert ring.served == [pair_of(11)]
    ring.keyring.tick(later_ms)
    assert asked == [SetKeys(OWN, (key(11),))], "it asks again only after a while"


def test_before_the_next_key_is_committed_nothing_changes() -> None:
    ring = Ring(following(ROTATING, commit=0), HeldKeys(pair_of(1), pair_of(11)))
    ring.keyring.tick(START_MS)
    assert (ring.served, ring.pairs) == ([], [pair_of(1)])


def test_when_the_former_key_is_out_the_file_forgets_it() -> None:
    ring = Ring(following(ROTATING, ROTATED, commit=2), HeldKeys(pair_of(1), pair_of(11)))
    assert ring.saved == [HeldKeys(pair_of(11))]
    assert ring.pairs == [pair_of(11)]


def test_a_change_that_a_crash_interrupted_goes_on() -> None:
    ring = Ring(following(commit=0), HeldKeys(pair_of(1), pair_of(11)))
    asked = watched(ring)
    ring.keyring.tick(START_MS)
    assert asked == [SetKeys(OWN, (key(1), key(11)))]
    assert ring.saved == []


def test_a_pair_that_was_derived_from_a_secret_is_replaced_as_soon_as_there_is_a_leader() -> None:
    first = HeldKeys(pair_of(1), is_first=True)
    alone = Ring(core_of(KEYED), first)
    alone.keyring.tick(START_MS)
    assert alone.saved == []
    led = Ring(following(commit=0), first)
    led.keyring.tick(START_MS)
    assert led.saved == [HeldKeys(pair_of(1), pair_of(11), is_first=True)]


def leading(*memberships: Membership) -> Solo:
    """Member 1, which leads, and has committed these memberships."""
    solo = Solo(core_of(KEYED, *memberships, commit=len(memberships)))
    solo.now_ms += 2 * ELECTION_MS
    solo.core.tick(solo.now_ms)
    solo.flush()
    for pre in (True, False):
        solo.core.step(VoteResponse(2, 1, 6, pre, True), solo.now_ms)
        solo.flush()
    assert solo.core.leads
    return solo


def test_a_leader_hands_over_before_its_connections_break() -> None:
    solo = leading(ROTATING)
    ring = Ring(solo.core, HeldKeys(pair_of(1), pair_of(11)))
    ring.keyring.tick(solo.now_ms)
    solo.now_ms += ANSWERS_MS
    ring.keyring.tick(solo.now_ms)
    assert ring.served == []
    assert solo.core.transferee in {2, 3}
    # Nobody takes over: then it has to be done so.
    solo.core.tick(solo.now_ms)
    ring.keyring.tick(solo.now_ms + HAND_OVER_ELECTIONS * ELECTION_MS)
    assert ring.served == [pair_of(11)]
