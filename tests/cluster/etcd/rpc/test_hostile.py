"""Whatever a client sends becomes a request that the node can be sent, or an RpcError."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import wire
from cluster.etcd.rpc.json_requests import from_json
from cluster.etcd.rpc.mapping import decode
from cluster.etcd.rpc.schema import HTTP, RPCS, Rpc, descriptor_of
from cluster.etcd.rpc.status import RpcError, grpc_message
from tests.cluster.etcd.rpc.json_cases import NO_JSON, READ, WRONG_FIELDS

BODIES = [body for body, _ in NO_JSON] + [body for _, body, *_ in [*READ, *WRONG_FIELDS]]
DEPTH = 4
"""How deep messages are nested in what is made up here."""

rpcs = st.sampled_from(list(RPCS.values()))
web_rpcs = st.sampled_from(list(HTTP.values()))

integers = st.one_of(st.integers(-1, 9), st.integers(-(1 << 64), 1 << 65))
texts = st.one_of(
    st.text(max_size=8), st.sampled_from(["YQ==", "\ud800", "-1", "VALUE", "x\udcff"])
)
anything = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    st.floats(),
    texts,
    st.lists(integers, max_size=3),
    st.dictionaries(texts, integers, max_size=2),
)


def values_of(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """Values for a field: mostly of its type, and now and then of another."""
    right: st.SearchStrategy[Any]
    if field.message_type is not None:
        right = messages_of(field.message_type, depth - 1) if depth else st.just({})
    elif field.enum_type is not None:
        right = st.one_of(st.sampled_from(list(field.enum_type.values_by_name)), integers)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        right = texts
    else:
        right = st.one_of(integers, integers.map(str))
    if field.is_repeated:
        right = st.lists(right, max_size=3)
    return st.one_of(*[right] * 9, anything)


def messages_of(kind: Descriptor, depth: int = DEPTH) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of a message's fields."""
    return st.deferred(
        lambda: st.fixed_dictionaries(
            {}, optional={field.json_name: values_of(field, depth) for field in kind.fields}
        )
    )


made_up = web_rpcs.flatmap(
    lambda rpc: st.tuples(st.just(rpc), messages_of(descriptor_of(rpc.request)))
)


def check(request: dict[str, Any] | RpcError) -> None:
    """A request can be packed, and an error can be sent."""
    if isinstance(request, RpcError):
        assert request.code in {2, 3, 13}
        assert request.message
        grpc_message(request.message)
    else:
        wire.unpack(wire.pack(request))


def decoded(rpc: Rpc, data: bytes) -> dict[str, Any] | RpcError:
    try:
        return decode(rpc, data)
    except RpcError as error:
        return error


def read(rpc: Rpc, body: bytes) -> dict[str, Any] | RpcError:
    try:
        return from_json(rpc, body)
    except RpcError as error:
        return error


@given(rpcs, st.binary(max_size=64))
def test_any_bytes_are_a_request_or_an_error(rpc: Rpc, data: bytes) -> None:
    check(decoded(rpc, data))


@given(rpcs, st.lists(st.tuples(st.integers(1, 15), st.integers(0, 5), st.binary(max_size=12))))
def test_any_fields_are_a_request_or_an_error(
    rpc: Rpc, fields: list[tuple[int, int, bytes]]
) -> None:
    data = b"".join(
        bytes((number << 3 | kind,)) + (bytes((len(value),)) if kind == 2 else b"") + value
        for number, kind, value in fields
    )
    check(decoded(rpc, data))


@settings(max_examples=300)
@given(made_up)
def test_any_json_is_a_request_or_an_error(made: tuple[Rpc, dict[str, Any]]) -> None:
    rpc, value = made
    check(read(rpc, json.dumps(value).encode()))
    check(read(rpc, json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")))


@given(
    web_rpcs, st.sampled_from(BODIES), st.integers(0, 60), st.binary(max_size=3), st.integers(0, 3)
)
def test_any_broken_json_is_a_request_or_an_error(
    rpc: Rpc, body: bytes, position: int, inserted: bytes, cut: int
) -> None:
    check(read(rpc, body[:position] + inserted + body[position + cut :]))
