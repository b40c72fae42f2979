"""Functions that run as one transaction, against a real node."""

from __future__ import annotations

import threading

import pytest

from cluster import Client, ConflictError, Isolation, Stm
from cluster.launcher.local import LocalCluster

pytestmark = pytest.mark.process


def value(client: Client, key: str) -> bytes | None:
    kv = client.get(key)
    return None if kv is None else kv.value


def test_what_the_function_writes_is_written_at_once(client: Client) -> None:
    client.put("from", "10")

    def move(keys: Stm) -> int:
        left = int(keys["from"] or 0) - 4
        keys["from"] = str(left)
        keys.put("to", str(int(keys.get("to") or 0) + 4))
        return left

    assert client.stm(move) == 6
    one, two = client.get("from"), client.get("to")
    assert one is not None and two is not None
    assert (one.value, two.value) == (b"6", b"4")
    assert one.mod_revision == two.mod_revision


def test_a_function_sees_its_own_writes_and_deletes(client: Client) -> None:
    client.put("k", "old")

    def change(keys: Stm) -> list[bytes | None]:
        keys["k"] = "new"
        seen = [keys["k"]]
        del keys["k"]
        keys["made"] = b"1"
        return [*seen, keys["k"], keys["made"]]

    assert client.stm(change) == [b"new", None, b"1"]
    assert (value(client, "k"), value(client, "made")) == (None, b"1")


def test_a_function_runs_again_when_what_it_read_has_changed(client: Client) -> None:
    client.put("k", "1")
    seen: list[bytes | None] = []

    def add(keys: Stm) -> None:
        seen.append(keys["k"])
        if len(seen) == 1:
            client.put("k", "10")
        keys["k"] = str(int(seen[-1] or 0) + 1)

    client.stm(add)
    assert seen == [b"1", b"10"]
    assert value(client, "k") == b"11"


def test_a_key_that_appears_or_vanishes_is_a_conflict_too(client: Client) -> None:
    client.put("there", "x")
    runs: list[tuple[bytes | None, bytes | None]] = []

    def look(keys: Stm) -> None:
        runs.append((keys["there"], keys["absent"]))
        if len(runs) == 1:
            client.delete("there")
        if len(runs) == 2:
            client.put("absent", "y")
        keys["out"] = "z"

    client.stm(look)
    assert runs == [(b"x", None), (None, None), (None, b"y")]


def test_all_reads_of_an_attempt_are_of_one_revision(client: Client) -> None:
    def read_both(keys: Stm) -> tuple[bytes | None, bytes | None]:
        first = keys["a"]
        client.put("b", "new")
        return first, keys["b"]

    client.put("a", "old")
    client.put("b", "old")
    assert client.stm(read_both) == (b"old", b"old")
    client.put("b", "old")
    weaker = client.stm(read_both, isolation=Isolation.READ_COMMITTED)
    assert weaker == (b"old", b"new")


def test_an_attempt_after_a_conflict_reads_at_one_revision_again(client: Client) -> None:
    client.put("a", "1")
    client.put("b", "1")
    pairs: list[tuple[bytes | None, bytes | None]] = []

    def read_both(keys: Stm) -> None:
        if len(pairs) == 1:
            client.put("b", "3")  # after what is known of "a" was read
        first = keys["b"] if pairs else keys["a"]
        if not pairs:
            client.put("a", "2")
        second = keys["a"] if pairs else None
        pairs.append((first, second))
        keys["out"] = "x"

    client.stm(read_both)
    assert pairs[0] == (b"1", None)
    assert pairs[1] == (b"1", b"2"), "both as they were when the conflict was found"
    assert pairs[2] == (b"3", b"2")


@pytest.mark.parametrize(
    ("isolation", "runs_expected"),
    [
        (Isolation.SERIALIZABLE_SNAPSHOT, 2),
        (Isolation.SERIALIZABLE, 1),
        (Isolation.REPEATABLE_READS, 1),
        (Isolation.READ_COMMITTED, 1),
    ],
)
def test_only_a_snapshot_minds_others_who_put_what_it_writes_blindly(
    client: Client, isolation: Isolation, runs_expected: int
) -> None:
    runs = 0

    def write(keys: Stm) -> None:
        nonlocal runs
        runs += 1
        _ = keys["read"]
        if runs == 1:
            client.put("written", "by another")
        keys["written"] = "by me"

    client.stm(write, isolation=isolation)
    assert (runs, value(client, "written")) == (runs_expected, b"by me")


def test_reads_that_are_not_repeatable_are_found_even_without_a_write(client: Client) -> None:
    client.put("a", "1")
    runs = 0

    def read_both(keys: Stm) -> tuple[bytes | None, bytes | None]:
        nonlocal runs
        runs += 1
        first = keys["a"]
        if runs == 1:
            client.put("a", "2")
        return first, keys["b"]

    assert client.stm(read_both, isolation=Isolation.REPEATABLE_READS) == (b"2", None)


def test_a_snapshot_that_is_compacted_away_is_replaced(client: Client) -> None:
    client.put("a", "1")
    runs = 0

    def read_both(keys: Stm) -> bytes | None:
        nonlocal runs
        runs += 1
        _ = keys["a"]
        if runs == 1:
            client.compact(client.put("b", "2").header.revision)
        return keys["b"]

    assert client.stm(read_both) == b"2"


def test_an_exception_of_the_function_leaves_nothing(client: Client) -> None:
    def fail(keys: Stm) -> None:
        keys["k"] = "v"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        client.stm(fail)
    assert client.get("k") is None


def test_a_function_that_always_meets_others_gives_up(client: Client) -> None:
    def add(keys: Stm) -> None:
        client.increment("n")
        keys["n"] = str(int(keys["n"] or 0))
        client.increment("n")

    with pytest.raises(ConflictError, match="each of 3 attempts"):
        client.stm(add, attempts=3)
    assert value(client, "n") == b"6"


def test_keys_can_be_read_in_one_request_beforehand(client: Client) -> None:
    for key in "abc":
        client.put(key, key)

    def join(keys: Stm) -> bytes:
        before = client.put("a", "later").header.revision
        joined = b"".join(keys[key] or b"" for key in "abc")
        assert keys.revision("c") < before
        return joined

    assert client.stm(join, prefetch="abc") == b"abc"


def test_many_clients_lose_no_update(client: Client, node: LocalCluster) -> None:
    def add(keys: Stm) -> None:
        keys["n"] = str(int(keys["n"] or 0) + 1)

    def work() -> None:
        with Client(node.endpoints) as own:
            for _ in range(15):
                own.stm(add)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert value(client, "n") == b"60"
