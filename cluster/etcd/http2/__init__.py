"""HTTP/2 as a server speaks it (RFC 9113), without sockets, clocks and threads.

    connection.py   ServerConnection: what its user calls; how a connection begins and ends
    receiving.py    bytes -> HEADERS, CONTINUATION and DATA by the rules -> calls of the handler
    control.py      all other frames;  settings.py  what SETTINGS may say
    headers.py      header blocks (RFC 7541);  fields.py  what a request's fields may be
    sending.py      what goes out, in which order, within the peer's windows
    streams.py      the state of streams;  ending.py  how they end;  windows.py  flow control
    floods.py       counts what costs work and brings none forward
    memory.py       what is held for peers, and whether it may be more
    limits.py       every limit;  codes.py  the error codes;  frames.py  the layout of frames

It knows nothing of gRPC and of etcd.
"""

from __future__ import annotations

from cluster.etcd.http2.connection import ServerConnection
from cluster.etcd.http2.handler import Handler
from cluster.etcd.http2.headers import encode_block
from cluster.etcd.http2.limits import LIMITS, PONG_WAIT_MS, Limits
from cluster.etcd.http2.memory import Memory
from cluster.etcd.http2.streams import Http2Stream

__all__ = [
    "LIMITS",
    "PONG_WAIT_MS",
    "Handler",
    "Http2Stream",
    "Limits",
    "Memory",
    "ServerConnection",
    "encode_block",
]
