"""Compaction: which revisions may be, and what can be read and watched afterwards."""

from __future__ import annotations

from tests.differential.language import Program, base, now, op

ALL = {"key": b"\0", "range_end": b"\0"}

CASES: dict[str, Program] = {
    "which revisions can be compacted": [
        op("put", key=b"a", value=b"1"),
        op("put", key=b"a", value=b"2"),
        op("compact", revision=base(1)),
        op("compact", revision=base(1)),
        op("compact", revision=base()),
        op("compact", revision=now(1)),
        op("compact", revision=0),
        op("compact", revision=-1),
        op("compact", revision=now(), physical=True),
        op("compact", revision=now(), physical=True),
        op("range", key=b"a"),
    ],
    "the compacted revision can be read, those before cannot": [
        op("put", key=b"a", value=b"1"),
        op("put", key=b"b", value=b"1"),
        op("put", key=b"a", value=b"2"),
        op("delete_range", key=b"b"),
        op("put", key=b"a", value=b"3"),
        op("compact", revision=base(3)),
        *(op("range", **ALL, revision=base(offset)) for offset in range(-1, 7)),
    ],
    "compaction at a tombstone": [
        op("put", key=b"a", value=b"1"),
        op("delete_range", key=b"a"),
        op("compact", revision=now()),
        op("range", **ALL, revision=now()),
        op("put", key=b"a", value=b"2"),
        op("range", key=b"a"),
        op("compact", revision=now()),
        op("range", key=b"a", revision=now(-1)),
        op("range", key=b"a", revision=now()),
    ],
    "prev_kv of what was put before the compacted revision": [
        op("put", key=b"a", value=b"1"),
        op("put", key=b"b", value=b"1"),
        op("compact", revision=now()),
        op("watch_create", **ALL, start_revision=now(), prev_kv=True),
        op("put", key=b"a", value=b"2", prev_kv=True),
        op("delete_range", key=b"a", prev_kv=True),
    ],
}
