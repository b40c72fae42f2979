"""Watch replies as a client decodes them; batches split between revisions only."""

from __future__ import annotations

from typing import Any

from actors.language.commands import Change, Event, KeyValue
from actors.watch import frames as frames_module
from actors.watch.audience import View
from actors.watch.frames import EVENTS_PER_REPLY_MAX, EventBatch, WatchFrames
from cluster.wire import pack, unpack

CLUSTER_ID = 2**64 - 1
MEMBER_ID = 2**63 + 5
FRAGMENT_BYTES = 1_000
PLAIN = View(prev_kv=False, no_put=False, no_delete=False)
WITH_PREVIOUS = PLAIN._replace(prev_kv=True)


def put(revision: int, value: bytes = b"v", prev_kv: KeyValue | None = None) -> Event:
    return Event(Change.PUT, KeyValue(b"k", 2, revision, 3, value, 9), prev_kv)


def frames() -> WatchFrames:
    made = WatchFrames(CLUSTER_ID, MEMBER_ID)
    made.set_term(6)
    return made


def batch_of(events: list[Event], revision: int) -> EventBatch:
    return EventBatch(frames(), revision, events, FRAGMENT_BYTES)


def replies(events: list[Event], revision: int, view: View = PLAIN) -> list[dict[str, Any]]:
    made = batch_of(events, revision).replies(range(len(events)), view)
    return [unpack(head + frames().pack(7) + tail) for head, tail in made]


def header(revision: int) -> dict[str, int]:
    return {
        "cluster_id": CLUSTER_ID,
        "member_id": MEMBER_ID,
        "revision": revision,
        "raft_term": 6,
    }


def test_a_put_has_all_six_fields_and_no_previous_value_unless_asked_for() -> None:
    before = KeyValue(b"k", 2, 4, 2, b"old", 0)
    assert replies([put(5, prev_kv=before)], 8) == [
        {
            "watch_id": 7,
            "header": header(8),
            "events": (
                {
                    "type": "PUT",
                    "kv": {
                        "key": b"k",
                        "create_revision": 2,
                        "mod_revision": 5,
                        "version": 3,
                        "value": b"v",
                        "lease": 9,
                    },
                },
            ),
        }
    ]


def test_the_previous_value_comes_with_those_who_asked_for_it() -> None:
    before = KeyValue(b"k", 2, 4, 2, b"old", 0)
    ((event, created),) = (
        reply["events"] for reply in replies([put(5, prev_kv=before), put(6)], 6, WITH_PREVIOUS)
    )
    assert event["prev_kv"] == before._asdict()
    assert "prev_kv" not in created


def test_a_delete_has_key_revision_and_reason() -> None:
    events = [
        Event(change, KeyValue(b"k", 0, 5, 0, b"", 0), None)
        for change in (Change.DELETED, Change.LEASE_EXPIRED, Change.LEASE_REVOKED)
    ]
    (reply,) = replies(events, 5)
    assert [event["reason"] for event in reply["events"]] == [
        "deleted",
        "lease expired",
        "lease revoked",
    ]
    assert all(event["type"] == "DELETE" for event in reply["events"])
    assert all(event["kv"] == {"key": b"k", "mod_revision": 5} for event in reply["events"])


def test_a_long_batch_is_split_and_each_part_says_how_far_it_goes() -> None:
    events = [put(revision) for revision in range(2, 2 + 2 * EVENTS_PER_REPLY_MAX + 5)]
    parts = replies(events, 9_999)
    assert [len(part["events"]) for part in parts] == [EVENTS_PER_REPLY_MAX] * 2 + [5]
    for part in parts[:-1]:
        assert part["header"]["revision"] == part["events"][-1]["kv"]["mod_revision"]
    assert parts[-1]["header"]["revision"] == 9_999


def test_one_revision_is_never_split() -> None:
    events = [put(5) for _ in range(EVENTS_PER_REPLY_MAX + 200)] + [put(6)]
    assert [len(part["events"]) for part in replies(events, 6)] == [EVENTS_PER_REPLY_MAX + 200, 1]


def test_large_values_split_a_batch_by_bytes() -> None:
    value = b"v" * (frames_module.BYTES_PER_REPLY_MAX // 2)
    parts = replies([put(revision, value) for revision in range(2, 7)], 6)
    assert [len(part["events"]) for part in parts] == [2, 2, 1]


def test_the_same_events_are_encoded_once_for_all() -> None:
    batch = batch_of([put(4), put(5)], 5)
    assert batch.replies([0, 1], PLAIN) is batch.replies(range(2), PLAIN)
    assert batch.replies([0], PLAIN) is not batch.replies([0, 1], PLAIN)


def test_each_view_has_a_reply_of_its_own() -> None:
    before = KeyValue(b"k", 2, 4, 2, b"old", 0)
    batch = batch_of([put(5, prev_kv=before)], 5)
    views = [PLAIN, WITH_PREVIOUS, PLAIN._replace(keys_only=True)]
    views.append(WITH_PREVIOUS._replace(keys_only=True))
    made = [
        unpack(head + b"\7" + tail) for view in views for head, tail in batch.replies([0], view)
    ]
    assert [
        (event["kv"]["value"], event.get("prev_kv", {}).get("value"))
        for reply in made
        for event in reply["events"]
    ] == [(b"v", None), (b"v", b"old"), (b"", None), (b"", b"")]


def test_one_revision_that_is_too_large_comes_in_fragments_if_it_may() -> None:
    large = [put(5, b"v" * 300) for _ in range(7)]
    whole = replies(large, 5)
    assert [len(reply["events"]) for reply in whole] == [7]
    parts = replies(large, 5, PLAIN._replace(fragment=True))
    assert [(len(part["events"]), part.get("fragment")) for part in parts] == [
        (2, True),
        (2, True),
        (2, True),
        (1, None),
    ]
    assert {part["header"]["revision"] for part in parts} == {5}
    assert sum((part["events"] for part in parts), ()) == whole[0]["events"]


def test_what_is_small_enough_is_no_fragment_and_a_huge_event_is_one_alone() -> None:
    fragment = PLAIN._replace(fragment=True)
    (small,) = replies([put(5), put(5)], 5, fragment)
    assert "fragment" not in small
    huge = [put(5, b"v" * 2_000), put(5), put(5)]
    assert [len(part["events"]) for part in replies(huge, 5, fragment)] == [1, 2]


def test_a_request_id_is_echoed_and_else_there_is_none() -> None:
    made = frames()
    assert unpack(made.created(pack("mine"), 4, 1)) == {
        "id": "mine",
        "header": header(4),
        "watch_id": 1,
        "created": True,
    }
    assert unpack(made.bookmark(b"", 4)) == {"header": header(4), "watch_id": -1, "events": ()}
