"""Watches: where they begin, what they leave out, how they end."""

from __future__ import annotations

from tests.differential.language import Program, base, now, op

ALL = {"key": b"\0", "range_end": b"\0"}
MEBIBYTE = 1 << 20
HALF = 600_000

CASES: dict[str, Program] = {
    "every kind of event": [
        op("watch_create", **ALL),
        op("watch_create", **ALL, prev_kv=True),
        op("watch_create", **ALL, filters=["NOPUT"]),
        op("watch_create", **ALL, filters=["NODELETE"], prev_kv=True),
        op("watch_create", **ALL, filters=["NODELETE", "NOPUT"]),
        op("lease_grant", ID=1, TTL=1000),
        op("put", key=b"a", value=b"1", lease=1),
        op("put", key=b"a", value=b"2", lease=1),
        op("put", key=b"b", value=b"1", lease=1),
        op("delete_range", key=b"a"),
        op("lease_revoke", ID=1),
        op(
            "txn",
            success=[
                {"request_put": {"key": b"c"}},
                {"request_put": {"key": b"b"}},
                {"request_delete_range": {"key": b"a", "range_end": b"b"}},
            ],
        ),
        op("delete_range", **ALL),
    ],
    "from the past": [
        op("put", key=b"a", value=b"1"),
        op("txn", success=[{"request_put": {"key": key}} for key in (b"c", b"a", b"b")]),
        op("delete_range", key=b"a", range_end=b"c"),
        op("put", key=b"a", value=b"2"),
        *(op("watch_create", **ALL, start_revision=base(offset)) for offset in range(6)),
        op("watch_create", **ALL, start_revision=base(), prev_kv=True, filters=["NOPUT"]),
        op("watch_create", key=b"a", start_revision=base(), prev_kv=True),
        op("put", key=b"a", value=b"3"),
    ],
    "from the future": [
        op("watch_create", **ALL, start_revision=now(1)),
        op("watch_create", **ALL, start_revision=now(2)),
        op("watch_create", **ALL, start_revision=now(4), prev_kv=True),
        op("put", key=b"a", value=b"1"),
        op("put", key=b"a", value=b"2"),
        op("put", key=b"a", value=b"3"),
        op("put", key=b"a", value=b"4"),
        op("put", key=b"a", value=b"5"),
    ],
    "from what is compacted": [
        op("put", key=b"a", value=b"1"),
        op("put", key=b"a", value=b"2"),
        op("put", key=b"a", value=b"3"),
        op("compact", revision=base(2)),
        op("watch_create", **ALL, start_revision=base(1)),
        op("watch_create", **ALL, start_revision=base(2)),
        op("watch_create", **ALL, start_revision=1),
        op("watch_create", key=b"x", start_revision=1, filters=["NOPUT", "NODELETE"]),
        op("put", key=b"a", value=b"4"),
    ],
    "a live watch outlives compactions": [
        op("watch_create", **ALL, prev_kv=True),
        op("put", key=b"a", value=b"1"),
        op("compact", revision=now()),
        op("put", key=b"a", value=b"2"),
        op("put", key=b"a", value=b"3"),
        op("compact", revision=now()),
        op("delete_range", key=b"a"),
    ],
    "intervals": [
        op("watch_create", key=b"a"),
        op("watch_create", key=b"a", range_end=b"c"),
        op("watch_create", key=b"b", range_end=b"\0"),
        op("watch_create", key=b"", range_end=b"\0"),
        op("watch_create", key=b"c", range_end=b"a"),
        op("watch_create", key=b"c", range_end=b"c"),
        op("watch_create"),
        op("watch_create", key=b"", range_end=b"b"),
        *(op("put", key=key) for key in (b"\0", b"a", b"b", b"c", b"\xff")),
        op("delete_range", **ALL),
    ],
    "ids of watches": [
        op("watch_create", **ALL, watch_id=5),
        op("watch_create", **ALL, watch_id=5),
        op("watch_create", **ALL),
        op("watch_create", **ALL, watch_id=6),
        op("watch_cancel", nth=0),
        op("watch_create", **ALL, watch_id=5),
        op("put", key=b"a"),
    ],
    "canceled, progress, and canceled": [
        op("watch_progress"),
        op("watch_create", key=b"a"),
        op("watch_create", key=b"b"),
        op("watch_progress"),
        op("put", key=b"a"),
        op("watch_cancel", nth=0),
        op("put", key=b"a"),
        op("put", key=b"b"),
        op("watch_progress"),
        op("watch_cancel", nth=0),
        op("watch_progress"),
    ],
    "large revisions, in fragments and not": [
        op("put", key=b"a", value=b"1" * MEBIBYTE),
        op("put", key=b"b", value=b"2" * MEBIBYTE),
        op("put", key=b"c", value=b"3" * MEBIBYTE),
        op(
            "txn",
            success=[
                {"request_put": {"key": key, "value": key * HALF, "prev_kv": False}}
                for key in (b"a", b"b")
            ],
        ),
        op("watch_create", **ALL, start_revision=base(), fragment=True),
        op("watch_create", **ALL, start_revision=base(), fragment=True, prev_kv=True),
        op("watch_create", **ALL, start_revision=base(), prev_kv=True),
        op("delete_range", key=b"a", range_end=b"d"),
    ],
}
