"""Transactions that etcd 3.5.1 itself dies of: which puts do it, and the same without them.

To etcd a delete without an end (range_end `\\0`) is no duplicate of anything: its checkIntervals
takes it for an empty interval. So it lets a put of a key that is deleted thereby follow. If that
put keeps the key's value or lease, etcd looks for the key twice: before the transaction, where it
is, and when it does the put, where it is gone. Then it panics: "unexpected error during txn".

No more than this is left out. A delete that has an end makes a duplicate, which is refused; one
that comes after the put, or in the other branch, is none of its business. Only a server knows which
keys there are and what compares say: here every key may be there, and every branch may be taken.
Knows no server.
"""

from __future__ import annotations

from tests.differential.language import Fields


def deadly_puts(txn: Fields) -> list[Fields]:
    """The puts, at any depth, that keep something of a key which may be deleted before."""
    found: list[Fields] = []
    _walk(txn, set(), found)
    return found


def harmless(txn: Fields) -> Fields:
    """The same transaction, changed in place: puts that would kill etcd have become plain ones."""
    for put in deadly_puts(txn):
        put.pop("ignore_value", None)
        put.pop("ignore_lease", None)
    return txn


def _walk(txn: Fields, before: set[bytes], found: list[Fields]) -> set[bytes]:
    """The keys from which on all may be deleted at its end, if it begins with those of `before`."""
    after = set(before)
    for branch in ("success", "failure"):
        deleted = set(before)
        for operation in txn.get(branch, []):
            match operation:
                case {"request_delete_range": {"key": start, "range_end": b"\0"}}:
                    deleted.add(start)
                case {"request_put": {"key": key} as put}:
                    if _keeps_something(put) and any(start <= key for start in deleted):
                        found.append(put)
                case {"request_txn": nested}:
                    deleted = _walk(nested, deleted, found)
        after |= deleted
    return after


def _keeps_something(put: Fields) -> bool:
    """Whether it does; one that also brings what it is to keep is refused, which kills nobody."""
    kept = [("ignore_value", "value"), ("ignore_lease", "lease")]
    if any(put.get(flag) and put.get(field) for flag, field in kept):
        return False
    return any(put.get(flag) for flag, _ in kept)
