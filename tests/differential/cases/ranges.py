"""Ranges, puts and deletes: intervals, limits, sorting, bounds, options that contradict."""

from __future__ import annotations

from tests.differential.language import Op, Program, base, now, op

FIVE: list[Op] = [
    op("put", key=b"a", value=b"5"),
    op("put", key=b"b", value=b"4"),
    op("put", key=b"c", value=b"3"),
    op("put", key=b"d", value=b"4"),
    op("put", key=b"b", value=b"1"),
]
ALL = {"key": b"\0", "range_end": b"\0"}

SORTED = [
    op("range", **ALL, sort_order=order, sort_target=target, limit=limit)
    for order in ("NONE", "ASCEND", "DESCEND")
    for target in ("KEY", "VERSION", "CREATE", "MOD", "VALUE")
    for limit in (0, 2)
]

BOUNDED = [
    op("range", **ALL, limit=limit, **{bound: base(offset)})
    for bound in (
        "min_mod_revision",
        "max_mod_revision",
        "min_create_revision",
        "max_create_revision",
    )
    for offset in (0, 2, 3, 9)
    for limit in (0, 1)
]

CASES: dict[str, Program] = {
    "every order, target and limit": [*FIVE, *SORTED],
    "every bound of revisions, before the limit and not in the count": [*FIVE, *BOUNDED],
    "bounds on both ends, and negative ones": [
        *FIVE,
        op("range", **ALL, min_mod_revision=base(2), max_mod_revision=base(3)),
        op("range", **ALL, min_create_revision=base(2), max_mod_revision=base(3)),
        op("range", **ALL, max_mod_revision=-1),
        op("range", **ALL, min_mod_revision=-1, count_only=True),
    ],
    "intervals that are empty, reversed, open, or one key": [
        *FIVE,
        op("range", key=b"b", range_end=b"b"),
        op("range", key=b"c", range_end=b"a"),
        op("range", key=b"b", range_end=b"\0"),
        op("range", key=b"b", range_end=b"b\0"),
        op("range", key=b"\0", range_end=b"c"),
        op("range", key=b"", range_end=b"\0"),
        op("range"),
    ],
    "limits, counts and keys only": [
        *FIVE,
        op("range", **ALL, limit=2),
        op("range", **ALL, limit=6),
        op("range", **ALL, limit=-1),
        op("range", **ALL, limit=2, count_only=True),
        op("range", **ALL, limit=2, keys_only=True),
        op("range", **ALL, keys_only=True, sort_target="VALUE", sort_order="DESCEND"),
    ],
    "the past, the future, and before": [
        *FIVE,
        op("delete_range", key=b"a", range_end=b"c", prev_kv=True),
        op("range", **ALL, revision=now(-1)),
        op("range", **ALL, revision=base(1)),
        op("range", **ALL, revision=base()),
        op("range", **ALL, revision=base(-1)),
        op("range", **ALL, revision=now(1)),
        op("range", **ALL, revision=-1),
        op("range", **ALL, revision=now(-1), serializable=True),
    ],
    "a deleted key begins again with version 1": [
        op("put", key=b"a", value=b"1"),
        op("put", key=b"a", value=b"2", prev_kv=True),
        op("delete_range", key=b"a", prev_kv=True),
        op("delete_range", key=b"a", prev_kv=True),
        op("put", key=b"a", prev_kv=True),
        op("range", key=b"a"),
    ],
    "keeping a value or a lease": [
        op("put", key=b"a", ignore_value=True),
        op("put", key=b"a", ignore_lease=True),
        op("lease_grant", ID=1, TTL=1000),
        op("put", key=b"a", value=b"1", lease=1),
        op("put", key=b"a", ignore_value=True),
        op("range", key=b"a"),
        op("put", key=b"a", value=b"2", lease=1),
        op("put", key=b"a", value=b"3", ignore_lease=True),
        op("put", key=b"a", ignore_value=True, ignore_lease=True, prev_kv=True),
        op("put", key=b"a", value=b"4", ignore_value=True),
        op("put", key=b"a", lease=1, ignore_lease=True),
        op("put", key=b"a", value=b"4", lease=1, ignore_value=True, ignore_lease=True),
        op("put", ignore_value=True, value=b"1"),
        op("range", key=b"a"),
    ],
}
