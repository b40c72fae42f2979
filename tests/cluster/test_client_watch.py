"""Watches beyond following changes, against a real node: bookmarks, fragments, keys only."""

from __future__ import annotations

import pytest

from cluster import Client, ops

pytestmark = pytest.mark.process

VALUE = b"x" * 100_000


def test_a_watch_tells_how_far_it_has_come_when_asked(client: Client) -> None:
    with client.watch("mine") as watch:
        client.put("mine", "1")
        last = client.put("another", "2").header.revision
        watch.progress()
        events, bookmark = watch.batch(5), watch.batch(5)
    assert [event.kv.value for event in events.events] == [b"1"]
    assert (bookmark.events, bookmark.header.revision) == ((), last)


def test_a_bookmark_is_no_event_for_whoever_waits_for_one(client: Client) -> None:
    with client.watch("mine") as watch:
        watch.progress()
        client.put("mine", "1")
        assert watch.get(5).kv.value == b"1"
        watch.progress()
        with pytest.raises(TimeoutError):
            watch.get(0.2)


def test_a_revision_in_fragments_arrives_whole(client: Client) -> None:
    revision = client.put("first", "x").header.revision
    for number in range(40):
        client.put(f"f/{number:02}", VALUE)
    gone = client.delete("f/", prefix=True).header.revision
    with client.watch(
        "f/", prefix=True, start_revision=revision, prev_kv=True, fragment=True
    ) as watch:
        batches = [watch.batch(5)]
        while batches[-1].events[-1].revision < gone:
            batches.append(watch.batch(5))
    events = [event for batch in batches for event in batch.events]
    assert [event.kv.value for event in events] == [VALUE] * 40 + [b""] * 40
    whole = [event for event in batches[-1].events if event.revision == gone]
    assert [event.prev_kv and event.prev_kv.value for event in whole] == [VALUE] * 40


def test_a_watch_of_keys_only_has_no_values(client: Client) -> None:
    with client.watch("k/", prefix=True, keys_only=True) as watch:
        done = client.txn().then(ops.put("k/1", "v"), ops.put("k/2", "w")).commit()
        batch = watch.batch(5)
    assert [(event.kv.key, event.kv.value) for event in batch.events] == [
        (b"k/1", b""),
        (b"k/2", b""),
    ]
    assert {event.kv.create_revision for event in batch.events} == {done.header.revision}


def test_what_was_not_taken_of_a_batch_comes_first_in_the_next(client: Client) -> None:
    with client.watch("k/", prefix=True) as watch:
        client.txn().then(*(ops.put(f"k/{number}") for number in range(3))).commit()
        client.put("k/9")
        assert watch.get(5).kv.key == b"k/0"
        rest = watch.batch(5)
        assert [event.kv.key for event in rest.events[:2]] == [b"k/1", b"k/2"]
