"""Limits and alarms: what is too large or too many, and what goes on under an alarm."""

from __future__ import annotations

from typing import Any

from tests.differential.language import ALARMED_MEMBER, Fields, Op, Program, now, op

PUTS = [{"request_put": {"key": b"k%d" % number}} for number in range(129)]
GETS: list[Fields] = [{"request_range": {"key": b"a"}}] * 129


def alarm(action: str, kind: str = "NONE") -> Op:
    """An alarm of the member that there is not."""
    return op("alarm", action=action, memberID=ALARMED_MEMBER, alarm=kind)


def nested(operations: list[Any]) -> Fields:
    """A transaction in a transaction."""
    return {"request_txn": {"success": operations}}


UNDER_ALARM: list[Op] = [
    op("put", key=b"b"),
    op("put", key=b"b", lease=99),
    op("put", key=b""),
    op("range", key=b"a"),
    op("txn", success=[{"request_put": {"key": b"b"}}]),
    op("txn", failure=[{"request_put": {"key": b"b"}}]),
    op("txn", success=[{"request_range": {"key": b"a"}}]),
    op("txn", success=[{"request_delete_range": {"key": b"x"}}]),
    op("txn"),
    op("lease_grant", ID=2, TTL=2000),
    op("lease_grant", ID=1, TTL=2000),
    op("lease_keep_alive", ID=1),
    op("lease_time_to_live", ID=1, keys=True),
    op("lease_leases"),
    op("lease_revoke", ID=9),
    op("lease_revoke", ID=1),
    op("delete_range", key=b"a"),
    op("compact", revision=now()),
    op("compact", revision=now(5)),
    op("range", key=b"\0", range_end=b"\0"),
]

BEFORE_ALARM: list[Op] = [
    op("lease_grant", ID=1, TTL=1000),
    op("put", key=b"a", lease=1),
    op("put", key=b"c", lease=1),
]

CASES: dict[str, Program] = {
    "too many operations": [
        op("txn", success=PUTS),
        op("txn", failure=GETS),
        op("txn", compare=[{"key": b"a"}] * 129),
        op("txn", success=PUTS[:128]),
        op("txn", success=GETS[:128], failure=GETS[:128], compare=[{"key": b"a"}] * 128),
        op("txn", success=[nested(GETS)]),
        op("txn", success=[nested(GETS[:128])]),
        op("txn", success=[nested(GETS[:127])]),
        op("txn", success=[nested(GETS[:126])]),
        op("txn", success=[*GETS[:100], nested(GETS[:28])]),
        op("txn", success=[*GETS[:100], nested(GETS[:27])]),
        op("txn", success=[nested(GETS[:70]), nested(GETS[:70])]),
        op("txn", success=[nested([nested(GETS[:126])])]),
        op("txn", success=[nested([nested(GETS[:125])])]),
    ],
    "too large": [
        op("put", key=b"a", value=b"x" * 1_500_000),
        op("put", key=b"a", value=b"x" * 1_600_000),
        op("put", key=b"a" * 1_600_000),
        op("range", key=b"a", keys_only=True),
        op("txn", success=[{"request_put": {"key": b"a", "value": b"x" * 1_600_000}}]),
        op("delete_range", key=b"a" * 1_600_000),
    ],
    "listed, raised, raised again and cleared": [
        alarm("GET"),
        alarm("ACTIVATE", "NOSPACE"),
        alarm("ACTIVATE", "NOSPACE"),
        alarm("GET"),
        alarm("GET", "CORRUPT"),
        alarm("GET", "NOSPACE"),
        alarm("ACTIVATE", "CORRUPT"),
        alarm("GET"),
        alarm("DEACTIVATE", "NOSPACE"),
        alarm("DEACTIVATE", "NOSPACE"),
        alarm("DEACTIVATE", "CORRUPT"),
        alarm("GET"),
    ],
    "no space": [
        *BEFORE_ALARM,
        alarm("ACTIVATE", "NOSPACE"),
        *UNDER_ALARM,
        alarm("DEACTIVATE", "NOSPACE"),
        op("put", key=b"b"),
    ],
    "corrupt": [
        *BEFORE_ALARM,
        alarm("ACTIVATE", "CORRUPT"),
        *UNDER_ALARM,
        alarm("DEACTIVATE", "CORRUPT"),
        op("put", key=b"b"),
    ],
}
