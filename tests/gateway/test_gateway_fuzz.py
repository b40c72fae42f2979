"""Whatever a client sends, nothing raises, and it is answered or passed on exactly once."""

from __future__ import annotations

from typing import Any

import msgpack
from hypothesis import example, given
from hypothesis import strategies as st

from actors.gateway.actor import GatewayActor
from actors.gateway.audit_table import Level
from actors.gateway.intake import GatewaySettings
from actors.gateway.newcomers import LeaseGrants, Newcomers
from actors.gateway.operations import operations
from actors.language.messages import ClientFrames
from cluster.wire import unpack
from tests.gateway.fake_door import FakeDoor
from tests.gateway.records import Records
from tests.probes import ManualClock, ProbeRing
from tests.twins import NO_SYSTEM, AtOnce

SETTINGS = GatewaySettings(
    cluster_id=1,
    member_id=2,
    version="1",
    request_bytes_max=400,
    lease_ttl_ms_min=1,
    request_timeout_ms=1_000,
    first_ticket=1,
)
OPERATIONS = operations(LeaseGrants(1, 1, 1), Newcomers("", lambda: 1), bytes)
FIELDS = sorted({field for operation in OPERATIONS.values() for field in operation.fields})
NAMES = st.sampled_from([*FIELDS, "id", "session", "seq", "ack"])

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20))
    | st.binary(min_size=500, max_size=600)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
REQUESTS = st.builds(
    lambda operation, fields: {"op": operation, **fields},
    st.sampled_from(sorted(OPERATIONS)) | VALUES,
    st.dictionaries(NAMES | st.text(max_size=4), VALUES, max_size=6),
)
OPERATION_NAMES = st.sampled_from(
    [f"request_{name}" for name in ("put", "range", "delete_range", "txn", "increment", "x")]
)
TXN_OPERATIONS = st.recursive(
    st.dictionaries(OPERATION_NAMES | st.text(max_size=3), st.dictionaries(NAMES, VALUES) | VALUES),
    lambda inner: st.fixed_dictionaries(
        {"request_txn": st.dictionaries(st.sampled_from(["success", "failure"]), st.lists(inner))}
    ),
    max_leaves=5,
)
TXNS = st.fixed_dictionaries(
    {"op": st.just("txn")},
    optional={
        "compare": st.lists(st.dictionaries(NAMES, VALUES) | VALUES, max_size=3),
        "success": st.lists(TXN_OPERATIONS | VALUES, max_size=3),
        "failure": st.lists(TXN_OPERATIONS | VALUES, max_size=3),
    },
)
ANY_MAPS = st.dictionaries(st.text(max_size=3) | st.integers(-5, 5) | st.binary(max_size=3), VALUES)
ROUTES = st.sampled_from([(b"\0a",), (b"\0a", b""), (b"a",), (b"\0a", b"x"), (b"\0a", b"", b"x")])


def handled_once(route: tuple[bytes, ...], payload: bytes) -> None:
    probes, door = ProbeRing(), FakeDoor()
    actor = GatewayActor(
        SETTINGS._replace(audit_level=Level.ALL),
        lambda: door,
        ManualClock(),
        NO_SYSTEM,
        random_bits=lambda bits: bits,
        beside=AtOnce(),
        audit_log=Records(),
    )
    actor.join(probes.ring)
    actor.open()
    actor.receive(ClientFrames(((route, payload),)))
    passed_on = [*probes.raft.messages, *probes.store.messages]
    assert len(passed_on) + len(door.sent) == 1
    for _, frame in door.sent:
        reply: dict[str, Any] = unpack(frame)
        assert set(reply["error"]) == {"code", "message"}
        assert set(reply) <= {"id", "error"}
    actor.close()  # what waits is recorded as failed


@given(ROUTES, st.binary(max_size=60))
@example((b"\0a",), b"")
@example((b"\0a",), b"\x91" * 5_000)
@example((b"\0a",), b"\x81\xa2op\xc7\x0c\xff" + b"\xff" * 12)
def test_arbitrary_bytes_are_answered(route: tuple[bytes, ...], payload: bytes) -> None:
    handled_once(route, payload)


@given(ROUTES, REQUESTS | TXNS | ANY_MAPS)
def test_arbitrary_maps_are_answered_or_passed_on(
    route: tuple[bytes, ...], request_map: dict[Any, Any]
) -> None:
    handled_once(route, msgpack.packb(request_map))


@given(REQUESTS, st.integers(0, 60), st.integers(0, 255))
def test_damaged_requests_are_answered_or_passed_on(
    request_map: dict[Any, Any], position: int, byte: int
) -> None:
    payload = bytearray(msgpack.packb(request_map))
    payload[position % len(payload)] = byte
    handled_once((b"\0a",), bytes(payload))
