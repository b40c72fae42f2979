"""Where users' rights are checked otherwise than by etcd 3.5.1 on purpose: what both answer.

cluster/PROTOCOL.md tells users of these differences. A difference that has gone must go from here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cluster.faults import FAULTS, UNKNOWN, FaultName
from tests.differential.auth.language import (
    READ,
    READWRITE,
    Fields,
    Program,
    grant,
    step,
)
from tests.differential.auth.programs import guarded, may


class Deliberate(NamedTuple):
    """The last step of the program is answered differently."""

    why: str
    program: Program
    etcd: Fields
    own: Fields


def fault(name: FaultName) -> Fields:
    """An answer that is one of etcd's errors."""
    code, message = FAULTS[name]
    return {"error": {"code": code, "message": message}}


def bare(text: str) -> Fields:
    """An answer by which etcd 3.5.1 forgets to give an error its code."""
    return {"error": {"code": UNKNOWN, "message": f"auth: {text}"}}


def done(revision: int = 2, **fields: object) -> Fields:
    """An answer that is none of etcd's errors."""
    return {"header": {"revision": revision}, **fields}


def refused_watch(text: str) -> Fields:
    """The first and last answer to a watch."""
    reason = f"rpc error: code = {text}"
    return done(created=True, canceled=True, cancel_reason=reason)


STRANGERS: Final[tuple[tuple[str, str, FaultName], ...]] = (
    ("", "user name is empty", "UserEmpty"),
    ("nobody", "invalid auth token", "InvalidAuthToken"),
    ("alice", "permission denied", "PermissionDenied"),
)
"""Who may not, and what they are told."""

LEASED: Final = (
    step("lease_grant", "root", ID=7, TTL=900),
    step("put", "root", key=b"z", value=b"3", lease=7),
)
OPEN: Final = "etcd 3.5.1 asks for no right; Leasehold asks for "
CODELESS: Final = "etcd 3.5.1 gives the error no code; later versions do, as Leasehold does"
MAINTENANCE: Final = "maintenance by who may not"
"""What the page calls the entries whose names begin so."""
DENIED: Final = "PermissionDenied desc = etcdserver: permission denied"
NESTED: Final = {"request_txn": {"success": [{"request_put": {"key": b"n"}}]}}


TABLE: Final[dict[str, Deliberate]] = {
    "nobody grants a lease": Deliberate(
        OPEN + "a user",
        guarded(step("lease_grant", ID=9, TTL=900)),
        done(ID=9, TTL=900),
        fault("UserEmpty"),
    ),
    "a lease is renewed by who may not write its keys": Deliberate(
        "etcd asks for the right to write them since 3.7, as Leasehold does",
        guarded(*LEASED, step("lease_keep_alive", "alice", ID=7)),
        done(3, ID=7, TTL=900),
        fault("PermissionDenied"),
    ),
    "the keys of a lease are shown to who may not read them": Deliberate(
        "etcd asks for the right to read them since 3.5.9, as Leasehold does",
        guarded(*LEASED, step("lease_time_to_live", "alice", ID=7, keys=True)),
        done(3, ID=7, TTL="nearly all of it", grantedTTL=900, keys=[b"z"]),
        fault("PermissionDenied"),
    ),
    "leases are listed to nobody": Deliberate(
        OPEN + "a user",
        guarded(*LEASED, step("lease_leases")),
        done(3, leases=[{"ID": 7}]),
        fault("UserEmpty"),
    ),
    "a user compacts": Deliberate(
        OPEN + "the role operator",
        guarded(step("compact", "alice", revision=99_999)),
        fault("FutureRev"),
        fault("PermissionDenied"),
    ),
    "nobody clears an alarm": Deliberate(
        OPEN + "the role operator",
        guarded(step("alarm", action="DEACTIVATE", alarm="NOSPACE")),
        done(),
        fault("UserEmpty"),
    ),
    "a user moves the leader": Deliberate(
        OPEN + "the role operator",
        guarded(step("move_leader", "alice", targetID=0)),
        fault("BadLeaderTransferee"),
        fault("PermissionDenied"),
    ),
    "a transaction without a key": Deliberate(
        "etcd has nothing to check; Leasehold asks for a user all the same",
        guarded(step("txn")),
        done(succeeded=True),
        fault("UserEmpty"),
    ),
    "a transaction within a transaction": Deliberate(
        "etcd 3.5.1 does not check it; later versions do, as Leasehold does",
        guarded(step("txn", "alice", success=[NESTED])),
        done(
            3,
            succeeded=True,
            responses=[
                {
                    "response_txn": {
                        "header": {"revision": 0},
                        "succeeded": True,
                        "responses": [{"response_put": {"header": {"revision": 3}}}],
                    }
                }
            ],
        ),
        fault("PermissionDenied"),
    ),
    "a watch from a key on, by who may read that key": Deliberate(
        "etcd 3.5.1 checks the first key alone; later versions all keys, as Leasehold does",
        guarded(may(READ, b"a"), step("watch_create", "alice", key=b"a", range_end=b"\0")),
        done(created=True),
        refused_watch(DENIED),
    ),
    "a watch by nobody": Deliberate(
        "etcd 3.5.1 always says `permission denied`; later versions why, as Leasehold does",
        guarded(step("watch_create", key=b"a")),
        refused_watch(DENIED),
        refused_watch("InvalidArgument desc = etcdserver: user name is empty"),
    ),
    "a watch with a token that nobody made": Deliberate(
        "as above; by it clients know that they have to log in again",
        guarded(step("watch_create", "nobody", key=b"a")),
        refused_watch(DENIED),
        refused_watch("Unauthenticated desc = etcdserver: invalid auth token"),
    ),
    "a token while authentication is off": Deliberate(
        "etcd 3.5.1 refuses one that nobody made; later versions ignore it, as Leasehold does",
        (step("range", "nobody", key=b"a"),),
        fault("InvalidAuthToken"),
        done(0),
    ),
    "a permission that is granted again": Deliberate(
        "etcd 3.5.1 keeps the old one, too, if another begins with the same key",
        (
            step("role_add", name="r"),
            grant("r", READ, b"a"),
            grant("r", READWRITE, b"a", b"c"),
            grant("r", READ, b"a", b"c"),
            step("role_get", role="r"),
        ),
        done(
            0,
            perm=[
                {"key": b"a"},
                {"permType": "READWRITE", "key": b"a", "range_end": b"c"},
                {"key": b"a", "range_end": b"c"},
            ],
        ),
        done(0, perm=[{"key": b"a"}, {"key": b"a", "range_end": b"c"}]),
    ),
    "an election is observed by who may not read it": Deliberate(
        "etcd's stream ends as if all were well; Leasehold says why",
        guarded(step("observe", "alice", name=b"a")),
        {},
        {"error": {"code": UNKNOWN, "message": FAULTS["PermissionDenied"].message}},
    ),
    **{
        f"{MAINTENANCE}: {name} by {who or 'whoever'}": Deliberate(
            CODELESS, guarded(step(name, who)), bare(text), fault(found)
        )
        for name in ("defragment", "hash", "hash_kv", "snapshot")
        for who, text, found in STRANGERS
    },
}
