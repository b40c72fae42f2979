"""What the client does with keys beyond put and get, against a real node: ranges, scans, history,
increments, transactions."""

from __future__ import annotations

import pytest

from cluster import (
    Client,
    CompactedError,
    FailedPreconditionError,
    InvalidArgumentError,
    LeaseholdError,
    LeaseNotFoundError,
    OutOfRangeError,
    ops,
)
from cluster.client.flows import scan as scan_module
from cluster.client.results import DeleteResult, IncrementResult, PutResult, RangeResult, TxnResult
from tests.cluster.probe import ProbeCluster

pytestmark = pytest.mark.process


def keys(found: RangeResult) -> list[bytes]:
    return [kv.key for kv in found]


def fill(client: Client, count: int) -> None:
    """Put so many keys, from s/000 on; their numbers are their values."""
    begun = [client.put_async(f"s/{number:03}", str(number)) for number in range(count)]
    for future in begun:
        future.result(10)


# --- put, range, scan ---


def test_a_put_with_a_ttl_has_a_lease_of_its_own(client: Client) -> None:
    done = client.put("k", "v", ttl=60)
    kv = client.get("k")
    assert kv is not None and kv.lease == done.lease != 0
    assert done.ttl == 60
    lease = client.lease.adopt(done.lease)
    assert lease.ttl == 60
    lease.revoke()
    assert client.get("k") is None
    with pytest.raises(LeaseNotFoundError):
        client.lease.adopt(done.lease)


def test_a_range_is_sorted_and_bounded_as_asked(client: Client) -> None:
    for key, value in (("a", "3"), ("b", "1"), ("c", "2")):
        last = client.put(key, value).header.revision
    by_value = client.range("a", "d", sort_target="VALUE", sort_order="DESCEND", limit=2)
    assert (keys(by_value), by_value.more, by_value.count) == ([b"a", b"c"], True, 3)
    assert keys(client.get_prefix("", min_mod_revision=last)) == [b"c"]
    assert keys(client.range(max_create_revision=last - 1)) == [b"a", b"b"]
    assert client.get_prefix("", count_only=True).count == 3
    assert [kv.value for kv in client.get_prefix("a", keys_only=True)] == [b""]


def test_a_scan_is_of_one_revision_whatever_happens_meanwhile(client: Client) -> None:
    fill(client, 350)
    client.put("s/999", "last")
    scan = client.scan("s/", prefix=True, page_size=100)
    first = next(scan)
    client.delete("s/", prefix=True)
    client.put("s/new", "x")
    rest = list(scan)
    assert (first.value, len(rest), rest[-1].value) == (b"0", 350, b"last")
    assert scan.count == 351
    with client.watch("s/", prefix=True, start_revision=scan.revision + 1) as watch:
        events = [watch.get(5) for _ in range(352)]
    assert [event.type for event in events] == ["DELETE"] * 351 + ["PUT"]


def test_range_that_is_too_large_for_one_answer_is_read_in_pages(client: Client) -> None:
    value = b"x" * 1_400_000
    for number in range(50):
        client.put(f"large/{number:02}", value)
    found = client.range("large/", prefix=True)
    assert (len(found), found.count, found.more) == (50, 50, False)
    assert {kv.value for kv in found} == {value}
    with pytest.raises(LeaseholdError, match="read it in pages"):
        client.range("large/", prefix=True, sort_order="DESCEND")


def test_scan_goes_on_when_values_become_too_large_for_its_pages(client: Client) -> None:
    fill(client, 200)
    value = b"x" * 1_400_000
    for number in range(50):
        client.put(f"s/large/{number:02}", value)
    found = list(client.scan("s/", prefix=True))
    assert len(found) == 250
    assert [kv.value for kv in found[-50:]] == [value] * 50


def test_scans_take_every_form_of_interval(client: Client) -> None:
    for key in ("a", "b/1", "b/2", "c"):
        client.put(key, "x")
    revision = client.put("a", "y").header.revision
    assert [kv.key for kv in client.scan()] == [b"a", b"b/1", b"b/2", b"c"]
    assert [kv.key for kv in client.scan("b/2", from_key=True)] == [b"b/2", b"c"]
    assert [kv.key for kv in client.scan("a", "c", page_size=1)] == [b"a", b"b/1", b"b/2"]
    assert [kv.value for kv in client.scan("a", revision=revision - 1)] == [b"x"]
    assert [kv.value for kv in client.scan("b", prefix=True, keys_only=True)] == [b"", b""]
    assert list(client.scan("none", prefix=True)) == []


def test_a_scan_says_when_the_history_under_it_has_ended(client: Client) -> None:
    fill(client, 300)
    scan = client.scan("s/", prefix=True, page_size=50)
    next(scan)
    client.compact(client.put("s/000", "y").header.revision)
    with pytest.raises(CompactedError):
        list(scan)


def test_pages_of_large_values_hold_fewer_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_module, "PAGE_BYTES_AIM", 10_000)
    with ProbeCluster(size=1) as probes, Client(probes.endpoints) as client:
        for number in range(250):
            client.put(f"s/{number:03}", b"x" * 995)
        assert len(list(client.scan("s/", prefix=True))) == 250
        asked = [one["limit"] for one in probes.nodes[0].requests if one["op"] == "range"]
    assert asked == [40] + [10] * 21


def test_a_scan_that_makes_no_sense_is_refused(client: Client) -> None:
    with pytest.raises(ValueError, match="page_size"):
        client.scan(page_size=0)
    with pytest.raises(ValueError, match="only one of"):
        client.scan("a", "b", prefix=True)


# --- increments and history ---


def test_increments_count_from_zero_and_refuse_what_is_no_number(client: Client) -> None:
    assert [client.increment("n"), client.increment("n", 41), client.increment("n", -2)] == [
        1,
        42,
        40,
    ]
    assert client.increment("n", 0) == 40
    client.put("word", "v")
    with pytest.raises(FailedPreconditionError, match="not a decimal integer"):
        client.increment("word")
    with pytest.raises(OutOfRangeError, match="64 bits"):
        client.increment("n", (1 << 63) - 1)


def test_the_history_of_a_key_is_told_newest_first(client: Client) -> None:
    first = client.put("k", "1").header.revision
    client.put("k", "2")
    client.delete("k")
    events = client.history("k").events
    assert [event.type for event in events[:3]] == ["DELETE", "PUT", "PUT"]
    assert [event.revision for event in events[:3]] == [first + 2, first + 1, first]
    newest = client.history("k", limit=1, revision=first + 1)
    assert [event.kv.value for event in newest.events] == [b"2"]
    assert newest.more
    client.compact(first + 1)
    rest = client.history("k")
    assert ([event.revision for event in rest.events], rest.compacted) == (
        [first + 2, first + 1],
        True,
    )


# --- transactions ---


def test_an_earlier_life_of_a_key_that_was_compacted_away_is_not_denied(client: Client) -> None:
    client.put("k", "first")
    client.delete("k")
    client.compact(client.put("k", "second").header.revision)
    found = client.history("k")
    assert [event.kv.value for event in found.events] == [b"second"]
    assert found.compacted and not found.more
    assert client.history("never").compacted, "nobody can tell any more"


def test_a_transaction_takes_the_branch_that_its_compares_say(client: Client) -> None:
    txn = client.txn().if_(ops.version("k") == 0).then(ops.put("k", "v")).else_(ops.get("k"))
    first, second = txn.commit(), txn.commit()
    assert first.succeeded and isinstance(first.responses[0], PutResult)
    assert not second.succeeded
    (found,) = second.responses
    assert isinstance(found, RangeResult) and found[0].value == b"v"
    assert found[0].mod_revision == first.header.revision == second.header.revision


def test_every_operation_has_a_response_of_its_kind(client: Client) -> None:
    client.put("gone", "x")
    done = (
        client.txn()
        .then(
            ops.put("a", "1", prev_kv=True),
            ops.get("a"),
            ops.delete("gone", prev_kv=True),
            ops.increment("n", 7),
            ops.txn().if_(ops.value("gone") == "x").then(ops.get("n")),
        )
        .commit()
    )
    put, found, deleted, incremented, nested = done.responses
    assert isinstance(put, PutResult) and put.prev_kv is None
    assert isinstance(found, RangeResult) and found[0].mod_revision == done.header.revision
    assert isinstance(deleted, DeleteResult) and deleted.prev_kvs[0].value == b"x"
    assert isinstance(incremented, IncrementResult) and incremented.value == 7
    assert isinstance(nested, TxnResult) and nested.succeeded
    (number,) = nested.responses
    assert isinstance(number, RangeResult) and number[0].value == b"7"


@pytest.mark.parametrize(
    ("compare", "holds"),
    [
        (ops.version("k") == 2, True),
        (ops.version("k") >= 3, False),
        (ops.version("none") == 0, True),
        (ops.value("k") == "w", True),
        (ops.value("k") < b"w", False),
        (ops.value("none") != "x", False),
        (ops.create_revision("k") > 0, True),
        (ops.lease("k") != 0, False),
        (ops.count("k", prefix=True) < 2, True),
        (ops.count("none") == 1, False),
        (ops.mod_revision("", prefix=True) <= 1, False),
    ],
)
def test_compares_are_decided_by_the_cluster(
    client: Client, compare: ops.Compare, holds: bool
) -> None:
    client.put("k", "v")
    client.put("k", "w")
    assert client.txn().if_(compare).commit().succeeded is holds


def test_a_transaction_that_cannot_be_done_changes_nothing(client: Client) -> None:
    twice = client.txn().then(ops.put("k", "1"), ops.put("k", "2"))
    with pytest.raises(InvalidArgumentError, match="duplicate key given in txn request"):
        twice.commit()
    leased = client.txn().then(ops.put("a", "1"), ops.put("b", "2", lease=12345))
    with pytest.raises(LeaseNotFoundError):
        leased.commit()
    many = client.txn().then(*(ops.put(f"m/{number}") for number in range(129)))
    with pytest.raises(InvalidArgumentError, match="too many operations in txn request"):
        many.commit()
    assert not client.range()


def test_transactions_can_be_pipelined(client: Client) -> None:
    begun = [client.txn().then(ops.increment("n")).commit_async() for _ in range(200)]
    responses = [future.result(10).responses[0] for future in begun]
    values = [one.value for one in responses if isinstance(one, IncrementResult)]
    assert sorted(values) == list(range(1, 201))


def test_only_a_transaction_that_can_write_needs_a_session() -> None:
    with ProbeCluster(size=1) as probes, Client(probes.endpoints) as client:
        node = probes.nodes[0]
        done = {"succeeded": True, "responses": []}
        node.script = lambda request: done if request["op"] == "txn" else True
        client.txn().then(ops.get("k")).commit()
        client.txn().if_(ops.version("k") == 0).else_(ops.put("k")).commit()
        asked = [(one["op"], "seq" in one) for one in node.requests]
    assert asked == [("txn", False), ("session_open", False), ("txn", True)]
