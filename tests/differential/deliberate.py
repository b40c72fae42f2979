"""Where we differ from etcd 3.5.1 on purpose, and why: what both answer, and what is not compared.

cluster/PROTOCOL.md tells users of these differences, in the words of this table. What both sides
answer to the programs is checked, too: a difference that has gone must go from this table.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from cluster.faults import FAULTS, INVALID_ARGUMENT, FaultName
from tests.differential.language import ALARMED_MEMBER, Fields, Program, op


class Deliberate(NamedTuple):
    """The last operation of the program is answered differently; `etcd` None: it dies of it."""

    why: str
    program: Program
    etcd: Fields | None
    own: Fields


def fault(name: FaultName) -> Fields:
    """An answer that is one of etcd's errors."""
    code, message = FAULTS[name]
    return {"error": {"code": code, "message": message}}


def refusal(text: str) -> Fields:
    """An answer that names what is wrong with the request."""
    return {"error": {"code": INVALID_ARGUMENT, "message": f"leasehold: {text}"}}


def alarm(action: str, kind: str) -> Any:
    """An alarm of the member that there is not."""
    return op("alarm", action=action, memberID=ALARMED_MEMBER, alarm=kind)


START: Final = {"revision": 0}
FIRST: Final = {"revision": 1}
PUT: Final = {"request_put": {"key": b"a"}}
RAISED: Final = [{"memberID": ALARMED_MEMBER, "alarm": "NOSPACE"}]
COMPACTED_WATCH: Final = {
    "header": START,
    "watch_id": -1,
    "created": True,
    "canceled": True,
    "cancel_reason": FAULTS["Compacted"].message,
}

TABLE: Final[dict[str, Deliberate]] = {
    "a sort target that does not exist": Deliberate(
        "etcd 3.5.1 crashes; later versions refuse it, as Leasehold does",
        [op("range", key=b"a", sort_target=9)],
        None,
        fault("InvalidSortOption"),
    ),
    "a sort order that does not exist": Deliberate(
        "etcd 3.5.1 sorts all the same; later versions refuse it, as Leasehold does",
        [op("range", key=b"a", sort_order=9)],
        {"header": START},
        fault("InvalidSortOption"),
    ),
    "a put that keeps the lease of a key which its transaction has deleted": Deliberate(
        "etcd 3.5.1 crashes; Leasehold refuses it as a key that is changed twice",
        [
            op("put", key=b"b"),
            op(
                "txn",
                success=[
                    {"request_delete_range": {"key": b"a", "range_end": b"\0"}},
                    {"request_put": {"key": b"b", "ignore_lease": True}},
                ],
            ),
        ],
        None,
        fault("DuplicateKey"),
    ),
    "a compare with the operand of another target": Deliberate(
        "etcd compares with zero; Leasehold refuses it",
        [op("txn", compare=[{"key": b"a", "target": "VERSION", "value": b"1"}])],
        {"header": START, "succeeded": True},
        refusal('a compare of VERSION has "version", not "value"'),
    ),
    "an operation map with two entries": Deliberate(
        "etcd's JSON gateway carries out the last one; Leasehold refuses both",
        [op("txn", success=[{"request_range": {"key": b"a"}, **PUT}])],
        {
            "header": FIRST,
            "succeeded": True,
            "responses": [{"response_put": {"header": FIRST}}],
        },
        refusal("an operation of txn must have one entry only"),
    ),
    "a watch from a negative revision": Deliberate(
        "etcd 3.5.1 creates it and cancels it later; newer versions refuse it, as Leasehold does",
        [op("watch_create", key=b"a", start_revision=-1)],
        {"header": START, "created": True},
        COMPACTED_WATCH,
    ),
    "a negative watch id": Deliberate(
        "etcd accepts it; Leasehold refuses it, because refusals and bookmarks have the id -1",
        [op("watch_create", key=b"a", watch_id=-7)],
        {"header": START, "watch_id": -7, "created": True},
        refusal('field "watch_id" of watch_create must not be negative'),
    ),
    "a range with a key of more than 1.5 MiB": Deliberate(
        "etcd limits writes only; Leasehold has one limit for reads and writes",
        [op("range", key=b"a" * 1_600_000)],
        {"header": START},
        fault("RequestTooLarge"),
    ),
    "a put within a nested transaction, without space": Deliberate(
        "etcd 3.5.1 does not look for puts there and applies it; Leasehold refuses it",
        [alarm("ACTIVATE", "NOSPACE"), op("txn", success=[{"request_txn": {"success": [PUT]}}])],
        {
            "header": FIRST,
            "succeeded": True,
            "responses": [
                {
                    "response_txn": {
                        "header": START,
                        "succeeded": True,
                        "responses": [{"response_put": {"header": FIRST}}],
                    }
                }
            ],
        },
        fault("NoSpace"),
    ),
    "the alarm that is left when another is cleared": Deliberate(
        "etcd 3.5.1 ignores it until it starts again; in Leasehold it still stands",
        [
            alarm("ACTIVATE", "NOSPACE"),
            alarm("ACTIVATE", "CORRUPT"),
            alarm("DEACTIVATE", "CORRUPT"),
            op("put", key=b"a"),
        ],
        {"header": FIRST},
        fault("NoSpace"),
    ),
    "clearing the alarms of all members": Deliberate(
        "member 0 and kind NONE mean all; etcd's clients list the alarms and clear each",
        [alarm("ACTIVATE", "NOSPACE"), op("alarm", action="DEACTIVATE")],
        {"header": START},
        {"header": START, "alarms": RAISED},
    ),
}
"""By what is asked for."""

NOT_COMPARED: Final[dict[str, str]] = {
    "ids, terms and times": "each server has its own; a remaining TTL shrinks meanwhile",
    "the order of keys that sort alike": "etcd's sort is not stable; here they are in key order",
    "the order of a lease's keys and of alarms": "etcd's order is that of its hash tables",
    "the header in the answer of a nested transaction": "etcd's is empty; here it has a revision",
    "header and reason when compaction ends a watch": "etcd sends neither; Leasehold sends both",
    "the id of a watch that compaction ended": "etcd gives it to no other watch on that stream",
    "the event at the compacted revision, for a watch that starts there": (
        "etcd sometimes leaves it out; Leasehold always sends it"
    ),
    "cancelling a watch that is not there": "etcd is silent; Leasehold answers with an error",
    "which error comes first under an alarm": (
        "Leasehold refuses a TTL that is too large before it looks at alarms"
    ),
}
"""What the comparison leaves out, and why."""

_TTL_SLACK_SECONDS: Final = 5
_ALARMS: Final = {FAULTS["NoSpace"].message, FAULTS["Corrupt"].message}
_BEFORE_THE_LOG: Final = {FAULTS["LeaseTTLTooLarge"].message}


def is_nearly_all(remaining: int, granted: int, took_seconds: float = 0.0) -> bool:
    """Whether a TTL in seconds is as near to what was granted as the time between two calls.

    `took_seconds`: how long the program has run, which on a busy machine is many seconds.
    """
    return 0 <= granted - remaining <= _TTL_SLACK_SECONDS + took_seconds


def is_tolerated(etcd: Fields, own: Fields) -> bool:
    """Whether both refuse, each for the one of two good reasons that it looks at first."""
    if "error" not in etcd or "error" not in own:
        return False
    return etcd["error"]["message"] in _ALARMS and own["error"]["message"] in _BEFORE_THE_LOG
