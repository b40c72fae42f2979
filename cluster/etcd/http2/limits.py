"""Every limit of an HTTP/2 connection, named with its unit; `Limits` is a connection's set of them.

What a peer may make this side keep, or do, is bounded here and nowhere else. Owns no rule: the
modules that count say what happens at a limit, and with which error code.
"""

from __future__ import annotations

from typing import Final, NamedTuple

KIB: Final = 1024
MIB: Final = 1024 * KIB

FRAME_BYTES_MAX: Final = 16 * KIB
"""The largest payload of a frame, in both directions: the smallest size that a peer may ask for."""

HEADER_BLOCK_BYTES_MAX: Final = 32 * KIB
"""Encoded bytes of one header block, with all its CONTINUATION frames. Over it the connection ends,
over the limit of the list only the stream: so this is the larger one."""

HEADER_LIST_BYTES_MAX: Final = 16 * KIB
"""Decoded bytes of one header list, each field with 32 bytes on top (RFC 9113, 10.5.1)."""

HEADER_TABLE_BYTES_MAX: Final = 4 * KIB
"""The dynamic table of the peer's header blocks: the size that holds when nothing is said."""

CONTINUATIONS_MAX: Final = 8
"""CONTINUATION frames of one header block."""

HEADER_LISTS_READ_MAX: Final = 4
"""Times its limit that an oversized header list is read to, so that the connection can go on."""

BLOCKS_CACHED_MAX: Final = 32
"""Header blocks whose meaning a connection remembers."""

LIST_CACHED_BYTES_MAX: Final = KIB
"""A header block with a longer list is not remembered."""

STREAM_WINDOW_BYTES: Final = MIB
"""What a peer may send on one stream before it hears of more."""

CONNECTION_WINDOW_BYTES: Final = 4 * MIB
"""What a peer may send on one connection before it hears of more."""

REQUEST_BYTES_MAX: Final = 65 * MIB
"""What one request that has not ended may hold: a request of 64 MiB and its frame around it."""

HELD_BYTES_MAX: Final = 128 * MIB
"""What all requests of one connection that have not ended may hold together."""

STREAMS_MAX: Final = 20_000
"""Open streams of one connection: watches too."""

UNANSWERED_STREAMS_MAX: Final = 10_000
"""Open streams of one connection that have got no response headers."""

ANSWER_BYTES_MAX: Final = 65 * MIB
"""The largest answer: 64 MiB and its frame around it. Our user keeps to it."""

CLOGGED_BYTES: Final = ANSWER_BYTES_MAX + MIB
"""With more than this waiting on one connection its user should ask for no more answers."""

QUEUED_BYTES_MAX: Final = 128 * MIB
"""Answers that wait on one connection; one more may be put on top of what is below the limit."""

QUEUED_SMALL_BYTES: Final = ANSWER_BYTES_MAX + 16 * MIB
"""What small answers may put on top of the limit: large ones do not push them out."""

STREAM_BYTES: Final = 2 * KIB
"""What an open stream counts against memory, with all that its user keeps for it."""

SHARE_BYTES: Final = 256 * KIB
"""What each connection may hold even when memory is short."""

MEMORY_BYTES_MAX: Final = 256 * MIB
"""What all connections of a process hold together before those over their share are refused."""

CONTROL_BYTES_MAX: Final = 256 * KIB
"""Acknowledgements and resets that wait on one connection whose peer does not read."""

SMALL_BYTES_MAX: Final = 16 * KIB
"""A stream with no more than this queued sends before those with more."""

TURN_BYTES: Final = 64 * KIB
"""What one `take` gives of queued answers, so that a small one never waits behind a large one."""

QUEUED_HIGH_BYTES: Final = 256 * KIB
"""A stream with more than this queued is told (`on_drained`) when it has fallen to the low mark."""

QUEUED_LOW_BYTES: Final = 64 * KIB
"""The low mark of what is queued for a stream."""

FLOOD_WINDOW_MS: Final = 1_000
"""The time for which nuisances and resets are counted."""

NUISANCES_MAX: Final = 10_000
"""Frames in a window that bring no work forward: PING, SETTINGS, PRIORITY, empty DATA."""

NUISANCES_PARDONED: Final = 8
"""Nuisances that one answer, or one DATA frame sent, takes back: peers probe and open windows."""

BLOCK_FREE_BYTES: Final = 2 * KIB
BLOCK_BYTES_A_NUISANCE: Final = 32
"""A header block counts a nuisance for each 32 bytes above these: to read 16 KiB takes 4 ms."""

OVERSIZED_NUISANCES: Final = 100
"""What a header list over its limit counts: it is read nearly whole, and to no end."""

RESETS_MAX: Final = 2_000
"""Unanswered streams in a window that the peer resets, or makes this side reset; an answer takes
one back."""

RESETS_REMEMBERED_MAX: Final = 1_000
"""Streams reset by this side on which late frames are still expected."""

GAPS_REMEMBERED_MAX: Final = 100
"""Ranges of stream ids that a peer has passed over."""

PREFACE_TIMEOUT_MS: Final = 10_000
"""From the first byte to the peer's first SETTINGS frame."""

PONG_WAIT_MS: Final = 100
"""How long the answer to a PING may wait for the answer to a request, to go with it."""

KEEPALIVE_INTERVAL_MS: Final = 2 * 60 * 60 * 1_000
"""A peer that was silent for this long is pinged (etcd's --grpc-keepalive-interval)."""

KEEPALIVE_TIMEOUT_MS: Final = 20_000
"""A peer that sends nothing for this long after a ping is gone (--grpc-keepalive-timeout)."""

GOAWAY_GRACE_MS: Final = 1_000
"""From the first GOAWAY to the one that names the last stream, if the peer answers no ping."""


class Limits(NamedTuple):
    """The limits of one connection; a test makes them tight."""

    header_block_bytes: int = HEADER_BLOCK_BYTES_MAX
    header_list_bytes: int = HEADER_LIST_BYTES_MAX
    continuations: int = CONTINUATIONS_MAX
    stream_window_bytes: int = STREAM_WINDOW_BYTES
    connection_window_bytes: int = CONNECTION_WINDOW_BYTES
    request_bytes: int = REQUEST_BYTES_MAX
    held_bytes: int = HELD_BYTES_MAX
    streams: int = STREAMS_MAX
    unanswered_streams: int = UNANSWERED_STREAMS_MAX
    queued_bytes: int = QUEUED_BYTES_MAX
    control_bytes: int = CONTROL_BYTES_MAX
    queued_high_bytes: int = QUEUED_HIGH_BYTES
    queued_low_bytes: int = QUEUED_LOW_BYTES
    turn_bytes: int = TURN_BYTES
    nuisances: int = NUISANCES_MAX
    resets: int = RESETS_MAX
    preface_timeout_ms: int = PREFACE_TIMEOUT_MS
    keepalive_interval_ms: int = KEEPALIVE_INTERVAL_MS
    keepalive_timeout_ms: int = KEEPALIVE_TIMEOUT_MS


LIMITS: Final = Limits()
