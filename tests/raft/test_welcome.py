"""A newcomer believes who it is once too many members say so for all of them to lag."""

from __future__ import annotations

from actors.language.members import Peer, RemoveMember
from actors.raft.membership import Membership, encode, first_membership, plan
from actors.raft.rpc import Welcome
from actors.raft.welcome import WELCOMES_MAX, Welcomes
from tests.raft.harness import peer, voters
from tests.raft.test_membership import EVERYBODY

OLD, NEW = 3, 9
NONCE = 2**64 - 5
URLS = ("tcp://host3:2380",)


def before(size: int) -> Membership:
    """Everybody, the member that is removed later among them."""
    return voters(size)


def after(size: int) -> Membership:
    """The same without that member, and with a new one at its URL."""
    removed = plan(voters(size), RemoveMember(OLD), EVERYBODY)
    assert isinstance(removed, Membership)
    rest = removed.final()
    return rest._replace(peers=(*rest.peers, Peer(NEW, URLS)), voters=rest.voters | {NEW})


def says(source: int, member_id: int, membership: Membership) -> Welcome:
    return Welcome(source, member_id, 7, NONCE, encode(membership))


def test_the_only_other_member_is_believed() -> None:
    assert Welcomes(NONCE).take(says(1, 2, voters(2)))


def test_members_that_lag_cannot_give_a_newcomer_the_id_of_one_that_was_removed() -> None:
    """The removal is on three of five disks, and one of those is gone."""
    welcomes = Welcomes(NONCE)
    assert not welcomes.take(says(4, OLD, before(5)))
    assert not welcomes.take(says(5, OLD, before(5)))
    assert not welcomes.take(says(1, NEW, after(5)))
    assert not welcomes.take(says(2, NEW, after(5)))
    assert welcomes.take(says(4, NEW, after(5)))


def test_one_that_knows_of_the_removal_outweighs_any_number_that_do_not() -> None:
    welcomes = Welcomes(NONCE)
    welcomes.take(says(1, NEW, after(5)))
    for source in (2, 4, 5):
        assert not welcomes.take(says(source, OLD, before(5)))


def test_a_member_counts_once_and_only_for_the_same_cluster() -> None:
    welcomes = Welcomes(NONCE)
    for _ in range(3):
        assert not welcomes.take(says(1, OLD, before(3)))
    assert not welcomes.take(says(2, OLD, before(3))._replace(cluster_id=8))
    assert welcomes.take(says(2, OLD, before(3)))


def test_it_says_where_the_others_are_who_were_not_asked_yet() -> None:
    welcomes = Welcomes(NONCE)
    welcomes.take(says(1, OLD, before(3)))
    assert welcomes.urls() == {each: peer(each).peer_urls[0] for each in (1, 2)}


def test_who_was_not_asked_is_not_believed() -> None:
    welcomes = Welcomes(NONCE)
    assert not welcomes.take(says(1, 2, voters(2))._replace(nonce=NONCE + 1))
    assert welcomes.urls() == {}
    assert welcomes.take(says(1, 2, voters(2)))


def test_the_answers_that_are_kept_are_bounded() -> None:
    welcomes = Welcomes(NONCE)
    for source in range(1, 2 * WELCOMES_MAX):
        welcomes.take(says(source, OLD, first_membership((peer(source),))))
    assert len(welcomes.urls()) == WELCOMES_MAX - 1  # one of them is its own
