"""What a node tells its front when it starts it: one line of JSON on the front's stdin.

The node and the front share this module alone. It refuses to know what either does with it.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from cluster.tls.options import ServerTls, from_fields


class FrontConfig(NamedTuple):
    """The node's ids and the ports of its door on 127.0.0.1, and what the front needs to serve.

    The front speaks at `own_port`, with a `password` where clients need keys, and passes the bytes
    of ZeroMQ's clients on to `passing_port`.
    `listening` and `listening_metrics` are descriptors of listening sockets; those among
    `listening_tls` speak TLS as `tls` says, those among `listening_plain` (also) without. `life` is
    that of a pipe which ends when the node does, `turn` that of the file whose lock the serving
    process holds, and `done` that of an eventfd to write into when a front that is to end has
    answered its calls: the front inherits all of them. `name` is the node's, for the log.
    `node_pid` is for what `/metrics` tells of the node's process. `secret` (hexadecimal)
    shows the node that a request with the common name of a certificate comes from its front;
    without one, no name is sent. `passages` is the descriptor of a
    pipe for the clients that are passed on; -1: the node need not know where clients are.
    """

    cluster_id: int
    member_id: int
    own_port: int
    passing_port: int
    password: str
    request_bytes_max: int
    node_pid: int
    version: str
    cors: tuple[str, ...]
    log_level: int
    log_format: str
    name: str
    listening: tuple[int, ...]
    listening_metrics: tuple[int, ...]
    listening_tls: tuple[int, ...]
    listening_plain: tuple[int, ...]
    tls: ServerTls | None
    secret: str
    passages: int
    life: int
    turn: int
    done: int

    @property
    def tells_addresses(self) -> bool:
        """Whether the node wants to know where each client is."""
        return self.passages >= 0

    def to_line(self) -> bytes:
        """The configuration as the node writes it."""
        tls = None if self.tls is None else self.tls.to_fields()
        return json.dumps({**self._asdict(), "tls": tls}).encode() + b"\n"


def from_line(line: bytes) -> FrontConfig:
    """The configuration that a node wrote."""
    fields: dict[str, Any] = json.loads(line)
    lists = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
    tls = None if fields["tls"] is None else from_fields(fields["tls"])
    return FrontConfig(**{**fields, **lists, "tls": tls})
