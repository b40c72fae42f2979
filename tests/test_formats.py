"""The bytes of actors/FORMATS.md are those that the code writes: codes, fields and examples.

Equal bytes are what lets two versions stand in one cluster. A test that fails here says that the
page is wrong, or that a format has changed, which the page's policy must allow.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from actors.language import auth, commands, results
from actors.language.codec import encode_command, encode_result
from actors.language.commands import Change, Command, Event, KeyValue, Put, Sequence
from actors.language.entries import Entry
from actors.language.members import MemberChange, Peer, PromoteMember
from actors.language.results import Failure
from actors.raft import rpc
from actors.raft.codec import PeerCodec, encode_join
from actors.raft.disk import wal, wal_reader
from actors.raft.disk.wal_reader import Head
from actors.raft.disk.wal_records import STATE, encode_flush
from actors.raft.membership import encode as encode_membership
from actors.raft.membership import first_membership
from actors.raft.rpc import (
    AppendRequest,
    HardState,
    Introduction,
    JoinRequest,
    VoteRequest,
    Welcome,
)
from actors.store.disk import lmdb_files, snapshot_file
from actors.store.records import encode_event
from actors.store.storage import SUB_BITS
from cluster.wire import pack, unpack
from tests.pages import rows

PAGE = (Path(__file__).parents[1] / "actors" / "FORMATS.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())
"""The page without its line breaks."""

CLUSTER_ID = 0xC1
CODEC = PeerCodec(CLUSTER_ID)
PUT = Put(b"k", b"v")
MEMBERSHIP = first_membership((Peer(1, ("tcp://a:1",)), Peer(2, ("tcp://b:1",))))


def sample(kind: type[Any]) -> Any:
    """A value of a NamedTuple, with each field as its annotation wants it."""
    return kind(*[_sample_of(hint) for hint in get_type_hints(kind).values()])


def _sample_of(hint: Any) -> Any:
    if hint is MemberChange:
        return PromoteMember(1)
    origin = get_origin(hint)
    if origin is tuple:
        return ()
    if origin is Literal:
        return get_args(hint)[0]
    if origin in (Union, types.UnionType):
        return None if type(None) in get_args(hint) else _sample_of(get_args(hint)[0])
    if inspect.isclass(hint) and issubclass(hint, IntEnum):
        return next(iter(hint))
    if inspect.isclass(hint) and issubclass(hint, tuple):
        return sample(hint)
    plain: dict[Any, Any] = {int: 1, bool: False, bytes: b"b", str: "s"}
    return plain[hint]


def code_in_frame(name: str) -> int:
    """The second value of a peer's frame."""
    return int(unpack(CODEC.encode(sample(getattr(rpc, name))))[1])


def code_in_command(name: str) -> int:
    """The first value of a command."""
    return int(unpack(encode_command(sample(_command(name)), None))[0])


def _command(name: str) -> Any:
    return getattr(commands, name, None) or getattr(auth, name)


def code_in_result(name: str) -> int:
    """The first value of a result."""
    return int(unpack(encode_result(sample(getattr(results, name))))[0])


# --- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "module", "code", "left_out"),
    [
        ("| kind | message |", rpc, code_in_frame, 3),
        ("| code | command |", commands, code_in_command, 0),
        ("| code | result |", results, code_in_result, 0),
    ],
)
def test_codes_and_fields_are_those_of_the_page(
    head: str, module: Any, code: Callable[[str], int], left_out: int
) -> None:
    table = rows(PAGE, head)
    for number, name, fields in table:
        assert code(name) == int(number), name
        kind = _command(name) if module is commands else getattr(module, name)
        assert ", ".join(kind._fields[left_out:]) == fields, name


def test_no_kind_and_no_command_is_left_out_of_the_page() -> None:
    assert {name for _, name, _ in rows(PAGE, "| kind | message |")} == {
        kind.__name__ for kind in get_args(rpc.Message)
    }
    assert {name for _, name, _ in rows(PAGE, "| code | command |")} == {
        kind.__name__ for kind in get_args(Command)
    }


def test_the_frames_without_a_cluster_id_have_the_fields_of_the_page() -> None:
    join, welcome, hello, *echoes = (cells[0] for cells in rows(PAGE, "| frame | when"))
    assert unpack(encode_join(JoinRequest(1, 2, ("u",))))[0] == "join"
    assert _fields(join) == len(JoinRequest._fields) + 1
    answer = sample(Welcome)._replace(membership=encode_membership(MEMBERSHIP))
    assert unpack(CODEC.encode_welcome(answer))[0] == "welcome"
    assert _fields(welcome) == len(Welcome._fields) + 1
    assert _fields(hello) == len(unpack(CODEC.encode_introduction(Introduction(1, "tcp://a:1"))))
    said: list[rpc.Ping | rpc.Pong] = [rpc.Ping(1, 2, 3), rpc.Pong(2, 1, 3)]
    for echo, frame in zip(echoes, map(CODEC.encode_ping, said), strict=True):
        name, *rest = unpack(frame)
        assert _fields(echo) == 1 + len(rest)
        assert f'["{name}", ' in echo


def _fields(row: str) -> int:
    """How many values an array has, as the page writes it."""
    return row.count(",") + 1


def test_the_first_record_of_a_segment_has_the_fields_of_the_page() -> None:
    (head,) = [cells[1] for cells in rows(PAGE, "| kind | payload") if cells[0] == "HEAD"]
    assert head == f"[{', '.join(Head._fields)}]"


def test_the_numbers_of_formats_are_those_of_the_page() -> None:
    assert f"* `format` is {wal_reader.FORMAT}." in TEXT
    assert f"the format, 4 bytes: {lmdb_files.FORMAT_NUMBER} |" in TEXT
    assert f"log format 3 is unknown to this version, which has {wal_reader.FORMAT}" in TEXT
    assert f"this program reads format {lmdb_files.FORMAT_NUMBER}`" in TEXT
    assert f"| 8 | `{snapshot_file.MAGIC.decode()}` |" in TEXT
    assert f"bytes of a block: {snapshot_file.BLOCK_BYTES:,}" in TEXT
    assert f"{wal.SEGMENT_BYTES >> 20} MiB (`SEGMENT_BYTES`)" in TEXT


# --- examples ---------------------------------------------------------------------------------


def examples() -> dict[str, bytes]:
    """What the code writes for each example of the page, by the name that it has there."""
    put = encode_command(PUT, None)
    append = AppendRequest(1, 2, 3, 3, 6, 3, 6, (Entry(7, 3, 1000, 2, 9, put),))
    key, record = encode_event(
        2 << SUB_BITS, Event(Change.PUT, KeyValue(b"k", 2, 2, 1, b"v", 0), None)
    )
    state, _ = encode_flush([(STATE, pack(HardState(3, 1, 6)))], 2, 0, 0)
    return {
        "put": put,
        "put in a session": encode_command(PUT, Sequence(5, 2, 1)),
        "append": CODEC.encode(append),
        "vote": CODEC.encode(VoteRequest(1, 2, 4, True, 7, 3)),
        "join": encode_join(JoinRequest(5, 0, ("tcp://a:1",))),
        "hello": CODEC.encode_introduction(Introduction(1, "tcp://a:1")),
        "state record": state,
        "revision key": key,
        "revision record": record,
    }


@pytest.mark.parametrize("name", examples())
def test_an_example_of_the_page_is_what_the_code_writes(name: str) -> None:
    assert f"\n    {name}: {examples()[name].hex(' ')}\n" in PAGE


def test_the_membership_of_the_page_is_what_the_code_writes() -> None:
    assert f"\n    membership: {encode_membership(MEMBERSHIP).decode()}\n" in PAGE


def test_every_name_of_an_error_that_a_result_may_hold_is_text() -> None:
    assert encode_result(Failure("NoSpace")) == pack((8, "NoSpace"))
