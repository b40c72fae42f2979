"""What those who watch or harm the links read of a frame."""

from __future__ import annotations

from typing import get_args

import pytest

from actors.language.entries import Entry
from actors.raft.codec import PeerCodec, encode_join
from actors.raft.frames import NAMES, Summary, source_of, summary_of
from actors.raft.membership import encode
from actors.raft.rpc import (
    AppendRequest,
    Heartbeat,
    Introduction,
    JoinRequest,
    Message,
    Ping,
    VoteRequest,
    VoteResponse,
    Welcome,
)
from tests.raft.harness import voters

CODEC = PeerCodec(99)
TWO = (Entry(5, 3, 0, 7, 0, b""), Entry(6, 3, 0, 7, 0, b"x" * 100_000))
MANY = tuple(Entry(5 + number, 3, 0, 7, 0, b"") for number in range(300))


def append(entries: tuple[Entry, ...]) -> bytes:
    return CODEC.encode(AppendRequest(7, 8, 3, 1, 4, 3, 4, entries))


WELCOME = Welcome(7, 8, 99, 1, encode(voters(3)))


@pytest.mark.parametrize(
    "frame",
    [
        CODEC.encode(VoteRequest(7, 8, 1, True, 0, 0)),
        append(TWO),
        CODEC.encode_introduction(Introduction(7, "tcp://127.0.0.1:1")),
        CODEC.encode_ping(Ping(7, 8, 5)),
        CODEC.encode_welcome(WELCOME),
        encode_join(JoinRequest(1, 7, ())),
    ],
)
def test_source_of_a_frame_is_read_where_the_codec_puts_it(frame: bytes) -> None:
    assert source_of(frame) == 7


@pytest.mark.parametrize("frame", [b"", b"no frame", b"\x93\x01\x02\xa1x", b"\x91\x01", b"\x05"])
def test_a_frame_of_no_kind_has_no_source(frame: bytes) -> None:
    assert source_of(frame) == 0
    assert summary_of(frame) is None


@pytest.mark.parametrize(
    ("frame", "summary"),
    [
        (append(()), Summary("append", 3, 0)),
        (append(TWO), Summary("append", 3, 2)),
        (append(MANY), Summary("append", 3, 300)),
        (CODEC.encode(Heartbeat(7, 8, 3, 1, 4, 4, 0, 0, True)), Summary("heartbeat", 3)),
        (CODEC.encode(VoteRequest(7, 8, 4, True, 0, 0)), Summary("pre_vote", 4)),
        (CODEC.encode(VoteRequest(7, 8, 4, False, 0, 0)), Summary("vote", 4)),
        (CODEC.encode(VoteResponse(7, 8, 4, True, True)), Summary("pre_vote_answer", 4)),
        (CODEC.encode_ping(Ping(7, 8, 5)), Summary("ping")),
        (CODEC.encode_welcome(WELCOME), Summary("welcome")),
    ],
)
def test_summary_says_what_a_frame_carries(frame: bytes, summary: Summary) -> None:
    assert summary_of(frame) == summary


def test_every_message_has_a_name_of_its_own() -> None:
    assert NAMES.keys() == set(get_args(Message))
    assert len(set(NAMES.values())) == len(NAMES)
