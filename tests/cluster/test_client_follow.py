"""What the client's core follows over time: watches across nodes, and leases it keeps alive."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.client.engine.call import ATTEMPT_SECONDS, FOREVER
from cluster.client.engine.notices import (
    LeaseLost,
    LeaseRenewed,
    WatchEnded,
    WatchEvents,
    WatchOpened,
)
from cluster.errors import CompactedError, HistoryLostError, LeaseNotFoundError, WatchCanceledError
from tests.cluster.rig import HEADER, Rig

# --- watches ---


def event(revision: int, key: bytes = b"k") -> dict[str, Any]:
    kv = {"key": key, "create_revision": revision, "mod_revision": revision, "version": 1}
    return {"type": "PUT", "kv": {**kv, "value": b"v", "lease": 0}}


class WatchRig(Rig):
    """A core with one watch, number 1."""

    def __init__(self, **fields: Any) -> None:
        super().__init__()
        self.core.watches.open(1, {"op": "watch_create", "key": b"k", **fields}, 5.0, self.now)

    def created(self) -> tuple[str, dict[str, Any]]:
        frame = [frame for frame in self.sent() if frame[1]["op"] == "watch_create"][-1]
        self.answer(frame, watch_id=frame[1]["watch_id"], created=True)
        return frame

    def events(self, frame: tuple[str, dict[str, Any]], *revisions: int) -> None:
        message = {
            "watch_id": frame[1]["watch_id"],
            "header": HEADER,
            "events": tuple(event(revision) for revision in revisions),
        }
        self.core.reply(frame[0], message, self.now)

    def canceled(self, frame: tuple[str, dict[str, Any]], reason: str, **more: Any) -> None:
        message = {"watch_id": frame[1]["watch_id"], "header": HEADER, "canceled": True}
        self.core.reply(frame[0], {**message, "cancel_reason": reason, **more}, self.now)

    def seen(self) -> list[int]:
        return [
            one.revision
            for notice in self.core.notices
            if isinstance(notice, WatchEvents)
            for one in notice.events
        ]

    def ended(self) -> Exception:
        (error,) = [n.error for n in self.core.notices if isinstance(n, WatchEnded)]
        return error


def test_a_watch_opens_once_and_delivers_events() -> None:
    rig = WatchRig()
    frame = rig.created()
    rig.events(frame, 9, 10)
    assert isinstance(rig.core.notices[0], WatchOpened)
    assert rig.seen() == [9, 10]


def test_a_watch_resumes_elsewhere_after_its_last_event() -> None:
    rig = WatchRig()
    first = rig.created()
    rig.events(first, 9, 12)
    rig.core.endpoint_down(first[0], rig.now)
    second = rig.created()
    assert second[0] != first[0]
    assert second[1]["start_revision"] == 13
    rig.events(second, 13)
    assert rig.seen() == [9, 12, 13]
    assert sum(isinstance(notice, WatchOpened) for notice in rig.core.notices) == 1


def test_a_watch_from_now_that_breaks_before_its_first_event_loses_nothing() -> None:
    rig = WatchRig()
    first = rig.created()
    assert first[1]["start_revision"] == 0
    rig.core.endpoint_down(first[0], rig.now)
    assert rig.created()[1]["start_revision"] == HEADER["revision"] + 1


def test_a_bookmark_moves_the_revision_to_resume_from() -> None:
    rig = WatchRig()
    first = rig.created()
    bookmark = {"watch_id": -1, "header": {**HEADER, "revision": 50}, "events": ()}
    rig.core.reply(first[0], bookmark, rig.now)
    rig.core.endpoint_down(first[0], rig.now)
    assert rig.created()[1]["start_revision"] == 51


def test_a_bookmark_does_not_move_a_watch_of_the_future_back() -> None:
    rig = WatchRig(start_revision=80)
    first = rig.created()
    bookmark = {"watch_id": -1, "header": {**HEADER, "revision": 50}, "events": ()}
    rig.core.reply(first[0], bookmark, rig.now)
    rig.core.endpoint_down(first[0], rig.now)
    assert rig.created()[1]["start_revision"] == 80


def bookmarks(rig: WatchRig) -> list[int]:
    """The revisions that the watch was told it has come to."""
    told = [notice for notice in rig.core.notices if isinstance(notice, WatchEvents)]
    return [notice.header.revision for notice in told if not notice.events]


def test_a_bookmark_is_told_to_a_watch_that_asked_for_it_and_once() -> None:
    rig = WatchRig()
    first = rig.created()
    bookmark = {"watch_id": -1, "header": {**HEADER, "revision": 50}, "events": ()}
    rig.core.reply(first[0], bookmark, rig.now)
    assert bookmarks(rig) == []
    rig.core.watches.progress(1)
    assert rig.sent() == [(first[0], {"op": "watch_progress"})]
    rig.core.reply(first[0], bookmark, rig.now)
    rig.core.reply(first[0], bookmark, rig.now)
    assert bookmarks(rig) == [50]


def test_a_wish_for_a_bookmark_outlives_the_node_that_was_asked() -> None:
    rig = WatchRig()
    first = rig.created()
    rig.core.watches.progress(1)
    rig.core.endpoint_down(first[0], rig.now)
    second = rig.created()
    assert rig.sent() == [(second[0], {"op": "watch_progress"})]
    bookmark = {"watch_id": -1, "header": {**HEADER, "revision": 50}, "events": ()}
    rig.core.reply(second[0], bookmark, rig.now)
    assert bookmarks(rig) == [50]


def test_a_bookmark_of_its_own_is_told_to_a_watch_with_progress_notify() -> None:
    for wanted in (False, True):
        rig = WatchRig(**({"progress_notify": True} if wanted else {}))
        first = rig.created()
        own = {"watch_id": first[1]["watch_id"], "header": {**HEADER, "revision": 50}}
        rig.core.reply(first[0], {**own, "events": ()}, rig.now)
        assert bookmarks(rig) == ([50] if wanted else [])
        rig.core.endpoint_down(first[0], rig.now)
        assert rig.created()[1]["start_revision"] == 51


def fragment(rig: WatchRig, frame: tuple[str, dict[str, Any]], more: bool, *keys: bytes) -> None:
    message = {
        "watch_id": frame[1]["watch_id"],
        "header": HEADER,
        "fragment": more,
        "events": tuple(event(9, key) for key in keys),
    }
    rig.core.reply(frame[0], message, rig.now)


def test_fragments_are_told_when_the_last_one_has_come() -> None:
    rig = WatchRig(fragment=True)
    frame = rig.created()
    fragment(rig, frame, True, b"a", b"b")
    fragment(rig, frame, True, b"c")
    assert rig.seen() == []
    fragment(rig, frame, False, b"d")
    (told,) = [notice for notice in rig.core.notices if isinstance(notice, WatchEvents)]
    assert [one.kv.key for one in told.events] == [b"a", b"b", b"c", b"d"]


def test_a_revision_whose_fragments_broke_off_comes_whole_from_elsewhere() -> None:
    rig = WatchRig(fragment=True)
    first = rig.created()
    fragment(rig, first, True, b"a", b"b")
    rig.core.endpoint_down(first[0], rig.now)
    second = rig.created()
    assert second[1]["start_revision"] == 9
    fragment(rig, second, True, b"a")
    fragment(rig, second, False, b"b")
    assert rig.seen() == [9, 9]


def test_events_already_seen_are_dropped() -> None:
    rig = WatchRig()
    frame = rig.created()
    rig.events(frame, 9, 10)
    rig.events(frame, 9, 10, 11)
    assert rig.seen() == [9, 10, 11]


def test_events_of_the_old_node_are_dropped_after_a_move() -> None:
    rig = WatchRig()
    first = rig.created()
    rig.core.endpoint_down(first[0], rig.now)
    second = rig.created()
    rig.events(first, 9)
    rig.events((second[0], first[1]), 9)
    rig.events((first[0], second[1]), 9)
    assert rig.seen() == []


def test_a_watch_leaves_a_node_from_which_nothing_comes() -> None:
    rig = WatchRig()
    first = rig.created()
    rig.events(first, 9)
    rig.advance(0.1)
    rig.call()
    rig.advance(ATTEMPT_SECONDS)
    frames = rig.sent()
    assert (first[0], {"op": "watch_cancel", "watch_id": first[1]["watch_id"]}) in frames
    (second,) = [frame for frame in frames if frame[1]["op"] == "watch_create"]
    assert second[0] != first[0]
    assert second[1]["start_revision"] == 10


def test_a_watch_stays_with_a_node_that_is_merely_slow() -> None:
    rig = WatchRig()
    first = rig.created()
    rig.call()
    rig.advance(0.1)
    rig.events(first, 9)
    rig.advance(ATTEMPT_SECONDS)
    assert [frame[1]["op"] for frame in rig.sent()] == ["range", "range"]


def test_a_node_without_a_leader_is_left() -> None:
    rig = WatchRig()
    first = rig.created()
    rig.events(first, 9)
    rig.canceled(first, "etcdserver: no leader")
    rig.advance(1.0)
    second = rig.created()
    assert second[0] != first[0]
    assert second[1]["start_revision"] == 10


def test_a_watch_that_cannot_stay_open_backs_off() -> None:
    rig = WatchRig()
    attempts = 0
    begun = rig.now
    while rig.now < begun + 3.0:
        rig.advance(0.01)
        if rig.core.sends:
            rig.canceled(rig.created(), "etcdserver: no leader")
            attempts += 1
    assert attempts < 40


# --- a node that is behind what the watch has seen ---


def behind(rig: WatchRig, revision: int) -> tuple[str, dict[str, Any]]:
    """The watch has seen revision 20, and is opened again at a node that is at another."""
    first = rig.created()
    mark = {"watch_id": -1, "header": {**HEADER, "revision": 20}, "events": ()}
    rig.core.reply(first[0], mark, rig.now)
    rig.core.endpoint_down(first[0], rig.now)
    (second,) = rig.sent()
    created = {"id": second[1]["id"], "watch_id": second[1]["watch_id"], "created": True}
    rig.core.reply(second[0], {**created, "header": {**HEADER, "revision": revision}}, rig.now)
    return second


def ask(rig: WatchRig, revision: int) -> None:
    """The cluster, asked how far it is, answers."""
    (asked,) = [frame for frame in rig.sent() if frame[1]["op"] == "range"]
    assert "serializable" not in asked[1]
    header = {**HEADER, "revision": revision}
    rig.core.reply(asked[0], {"id": asked[1]["id"], "header": header, "count": 0}, rig.now)


def test_a_watch_goes_on_at_a_node_that_is_merely_late() -> None:
    rig = WatchRig()
    second = behind(rig, 12)
    ask(rig, 20)
    message = {"watch_id": second[1]["watch_id"], "header": {**HEADER, "revision": 21}}
    rig.core.reply(second[0], {**message, "events": (event(21),)}, rig.now)
    assert rig.seen() == [21]
    assert rig.sent() == []


def test_a_watch_that_is_ahead_of_its_cluster_ends_and_says_by_how_much() -> None:
    rig = WatchRig()
    second = behind(rig, 12)
    ask(rig, 13)
    error = rig.ended()
    assert isinstance(error, HistoryLostError)
    assert "seen revision 20, and the cluster is at 13" in error.message
    assert rig.one()[1] == {"op": "watch_cancel", "watch_id": second[1]["watch_id"]}


def test_a_header_that_is_behind_is_looked_into_while_the_watch_is_open() -> None:
    rig = WatchRig()
    first = rig.created()
    for revision in (20, 12):
        mark = {"watch_id": -1, "header": {**HEADER, "revision": revision}, "events": ()}
        rig.core.reply(first[0], mark, rig.now)
    ask(rig, 13)
    assert isinstance(rig.ended(), HistoryLostError)


def test_what_is_seen_while_the_cluster_is_asked_is_not_held_against_it() -> None:
    rig = WatchRig()
    second = behind(rig, 12)
    mark = {"watch_id": -1, "header": {**HEADER, "revision": 30}, "events": ()}
    rig.core.reply(second[0], mark, rig.now)
    ask(rig, 25)
    assert not [notice for notice in rig.core.notices if isinstance(notice, WatchEnded)]


def test_a_doubt_is_not_settled_by_an_answer_that_was_asked_for_before() -> None:
    rig = WatchRig()
    second = behind(rig, 12)
    for revision in (40, 15):
        mark = {"watch_id": -1, "header": {**HEADER, "revision": revision}, "events": ()}
        rig.core.reply(second[0], mark, rig.now)
    ask(rig, 22)
    ask(rig, 22)
    assert "seen revision 40, and the cluster is at 22" in str(rig.ended())


def test_a_watch_ends_when_another_cluster_answers() -> None:
    rig = WatchRig()
    first = rig.created()
    mark = {"watch_id": -1, "header": {**HEADER, "cluster_id": 255, "revision": 20}, "events": ()}
    rig.core.reply(first[0], mark, rig.now)
    assert "another cluster (ff) answers than 7" in str(rig.ended())


def test_a_compacted_watch_ends_and_says_from_where_one_may_watch() -> None:
    rig = WatchRig(start_revision=2)
    rig.canceled(rig.created(), "", compact_revision=30)
    error = rig.ended()
    assert isinstance(error, CompactedError)
    assert error.compact_revision == 30
    assert "has been compacted" in error.message


def test_a_watch_that_the_server_refuses_ends_with_its_reason() -> None:
    rig = WatchRig()
    frame = rig.one()
    rig.answer(
        frame,
        watch_id=-1,
        created=True,
        canceled=True,
        cancel_reason="mvcc: watcher range is empty",
    )
    error = rig.ended()
    assert isinstance(error, WatchCanceledError)
    assert error.message == "mvcc: watcher range is empty"


def test_an_attempt_to_open_that_was_given_up_leaves_no_watch_behind() -> None:
    rig = WatchRig()
    first = rig.one()
    rig.advance(ATTEMPT_SECONDS)
    cancel, second = rig.sent()
    assert cancel == (first[0], {"op": "watch_cancel", "watch_id": first[1]["watch_id"]})
    assert second[1]["watch_id"] != first[1]["watch_id"]
    rig.answer(first, watch_id=first[1]["watch_id"], created=True)
    assert rig.core.notices == []


def test_a_paused_watch_goes_on_with_the_first_event_not_delivered() -> None:
    rig = WatchRig()
    first = rig.created()
    rig.events(first, 9)
    rig.core.watches.pause(1)
    rig.events(first, 10)
    assert rig.one()[1]["op"] == "watch_cancel"
    rig.core.watches.resume(1, rig.now)
    second = rig.created()
    assert second[1]["start_revision"] == 10
    rig.events(second, 10)
    assert rig.seen() == [9, 10]


def test_a_cancelled_watch_is_cancelled_at_its_node_and_never_heard_of_again() -> None:
    rig = WatchRig()
    frame = rig.created()
    rig.core.watches.cancel(1)
    assert rig.one()[1] == {"op": "watch_cancel", "watch_id": frame[1]["watch_id"]}
    rig.events(frame, 9)
    rig.core.endpoint_down(frame[0], rig.now)
    assert rig.seen() == []
    assert rig.sent() == []


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["event", "down", "lost", "cancel", "pause", "mark"]), max_size=40))
def test_whatever_breaks_a_watch_sees_each_revision_once_and_in_order(steps: list[str]) -> None:
    rig = WatchRig()
    frame = rig.created()
    written, floor = HEADER["revision"], HEADER["revision"]

    def serve() -> None:
        """A node that serves the watch delivers all that it has not delivered."""
        rig.events(frame, *range(floor + 1, written + 1))

    for step in steps:
        match step:
            case "event":
                written += 1
                serve()
            case "down" | "lost":
                written += step == "lost"  # written, but its event dies with the node
                rig.core.endpoint_down(frame[0], rig.now)
                rig.core.endpoint_up(frame[0], rig.now)
            case "cancel":
                rig.canceled(frame, "etcdserver: no leader")
            case "pause":
                rig.core.watches.pause(1)
                rig.core.watches.resume(1, rig.now)
            case _:
                mark = {"watch_id": -1, "header": {**HEADER, "revision": written}, "events": ()}
                serve()
                rig.core.reply(frame[0], mark, rig.now)
        if step in ("down", "lost", "cancel", "pause"):
            rig.advance(1.0)
            frame = rig.created()
            floor = frame[1]["start_revision"] - 1
            serve()
        floor = written
    assert rig.seen() == list(range(HEADER["revision"] + 1, written + 1))


# --- leases ---


class LeaseRig(Rig):
    """A core that keeps lease 3 with a TTL of 9 s alive, as number 1."""

    def __init__(self) -> None:
        super().__init__()
        self.core.keepers.keep(1, 3, self.now + 9.0, self.now)


def test_a_kept_lease_is_renewed_every_third_of_its_ttl() -> None:
    rig = LeaseRig()
    times = []
    for _ in range(4):
        times.append(rig.now - 100.0)
        rig.answer(rig.one(), ID=3, TTL=9)
        rig.advance(3.0)
    assert times == [0.0, 3.0, 6.0, 9.0]
    told = [notice for notice in rig.core.notices if isinstance(notice, LeaseRenewed)]
    assert [notice.good_until - 100.0 for notice in told] == [9.0, 12.0, 15.0, 18.0]
    assert len(rig.core.notices) == 4


def test_a_renewal_counts_from_its_sending_and_is_not_the_last_though_it_was_repeated() -> None:
    rig = LeaseRig()
    sent_at = rig.now
    rig.sent()
    rig.advance(ATTEMPT_SECONDS)
    rig.answer(rig.one(), ID=3, TTL=9)
    (told,) = rig.core.notices
    assert isinstance(told, LeaseRenewed) and told.good_until == sent_at + 9.0
    rig.advance(3.0 - ATTEMPT_SECONDS)
    assert rig.one()[1]["op"] == "lease_keep_alive"


def test_a_lease_that_is_gone_is_lost() -> None:
    rig = LeaseRig()
    rig.answer(rig.one(), ID=3, TTL=0)
    (notice,) = rig.core.notices
    assert isinstance(notice, LeaseLost)
    assert isinstance(notice.error, LeaseNotFoundError)


def test_a_lease_that_cannot_be_renewed_is_lost_when_its_ttl_has_passed() -> None:
    rig = LeaseRig()
    rig.answer(rig.one(), ID=3, TTL=9)
    for name in "abc":
        rig.core.endpoint_down(name, rig.now)
    rig.advance(8.9)
    assert [type(notice) for notice in rig.core.notices] == [LeaseRenewed]
    rig.advance(0.2)
    assert [type(notice) for notice in rig.core.notices] == [LeaseRenewed, LeaseLost]


def test_a_dropped_lease_is_not_renewed() -> None:
    rig = LeaseRig()
    rig.answer(rig.one(), ID=3, TTL=9)
    rig.core.keepers.drop(1)
    rig.advance(30.0)
    assert rig.sent() == []
    assert rig.core.wake_at == FOREVER
