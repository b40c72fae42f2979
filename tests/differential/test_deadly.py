"""What etcd 3.5.1 dies of is recognised, nothing else is, and a node of ours lives through it."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest

from tests.differential.cases.transactions import CASES, delete, equal, get, keep, put, txn
from tests.differential.deadly import deadly_puts, harmless
from tests.differential.deliberate import fault
from tests.differential.generator import program_of
from tests.differential.language import Fields
from tests.differential.leasehold import Leasehold

SEED_THAT_KILLED_ETCD = 5478
"""Its txns are flat, since an alarm may leave no space: those were once forgotten."""

HARMLESS = "a put that keeps something beside deletes that are none of its business"

KEPT_VALUE: Fields = {"request_put": {"key": b"b", "ignore_value": True}}
KEPT_LEASE: Fields = {"request_put": {"key": b"b", "value": b"2", "ignore_lease": True}}
ALL: Fields = {"key": b"\0", "range_end": b"\0"}
ALL_GONE = delete(**ALL)
FROM_B_ON = delete(b"b", range_end=b"\0")
NEVER = [equal(b"b", "VERSION", version=9)]

# Each was sent to an etcd 3.5.1 that had a key b, and was its last.
DEADLY: dict[str, Fields] = {
    "keeps the lease": {"success": [ALL_GONE, KEPT_LEASE]},
    "keeps the value": {"success": [FROM_B_ON, KEPT_VALUE]},
    "keeps both": {"success": [delete(b"a", range_end=b"\0"), keep(b"b")]},
    "not at once": {"success": [ALL_GONE, get(b"b"), put(b"c"), keep(b"b")]},
    "in the other branch": {"compare": NEVER, "failure": [ALL_GONE, keep(b"b")]},
    "the put is nested": {"success": [ALL_GONE, txn(success=[txn(success=[keep(b"b")])])]},
    "the delete is nested": {"success": [txn(compare=NEVER, failure=[ALL_GONE]), keep(b"b")]},
    "both are nested": {"success": [txn(success=[txn(success=[FROM_B_ON]), keep(b"b")])]},
    "nested side by side": {"success": [txn(success=[ALL_GONE]), txn(success=[keep(b"b")])]},
}


@pytest.fixture(scope="module")
def node() -> Iterator[Leasehold]:
    """One of ours, alone."""
    side = Leasehold()
    yield side
    side.stop()


def _ask(node: Leasehold, name: str, **fields: object) -> Fields:
    node.send(name, fields)
    return node.receive()


@pytest.mark.parametrize("name", DEADLY)
def test_what_kills_etcd_is_recognised_and_made_harmless(name: str) -> None:
    (deadly,) = deadly_puts(DEADLY[name])
    assert deadly["key"] == b"b"
    changed = harmless(deepcopy(DEADLY[name]))
    assert deadly_puts(changed) == []
    assert "ignore_" not in repr(changed)


# The same txns are sent to an etcd with all named cases, and it answers them.
@pytest.mark.parametrize("fields", [each.fields for each in CASES[HARMLESS] if each.name == "txn"])
def test_what_does_not_kill_etcd_stays_as_it_is(fields: Fields) -> None:
    assert deadly_puts(fields) == []
    assert harmless(deepcopy(fields)) == fields


def test_only_the_deadly_put_of_a_transaction_is_changed() -> None:
    before = {"success": [keep(b"a"), FROM_B_ON, keep(b"aa"), keep(b"b")], "failure": [keep(b"b")]}
    after = harmless(deepcopy(before))
    plain = {"request_put": {"key": b"b"}}
    assert after == {**before, "success": [keep(b"a"), FROM_B_ON, keep(b"aa"), plain]}


def test_programs_have_transactions_with_deletes_and_kept_leases_and_none_that_is_deadly() -> None:
    programs = [*(program_of(seed) for seed in range(100)), program_of(SEED_THAT_KILLED_ETCD)]
    txns = [each.fields for program in programs for each in program if each.name == "txn"]
    assert [fields for fields in txns if deadly_puts(fields)] == []
    texts = map(repr, txns)
    assert any("request_delete_range" in text and "ignore_lease" in text for text in texts)


@pytest.mark.parametrize("name", DEADLY)
def test_we_refuse_what_kills_etcd_and_nothing_changes(node: Leasehold, name: str) -> None:
    _ask(node, "lease_grant", ID=1, TTL=1000)
    _ask(node, "put", key=b"b", value=b"1", lease=1)
    before = _ask(node, "range", **ALL)
    assert _ask(node, "txn", **DEADLY[name]) == fault("DuplicateKey")
    assert _ask(node, "range", **ALL) == before


def test_without_such_a_key_there_is_nothing_to_keep(node: Leasehold) -> None:
    _ask(node, "delete_range", **ALL)
    for deadly in DEADLY.values():
        assert _ask(node, "txn", **deadly) == fault("KeyNotFound")
