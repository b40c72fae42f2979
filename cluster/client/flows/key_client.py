"""KeyClient: keys of a cluster, and the life of the connection to it, for both shells.

It is what a program needs that only reads and writes keys, such as most commands of leasectl: it
loads in half the time of the Client, which adds all else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from cluster.client.engine.login import credentials
from cluster.client.engine.states import ConnectionState
from cluster.client.flows.caller import Caller
from cluster.client.flows.keys import KeyApi
from cluster.client.flows.shell import Shell
from cluster.client.flows.states import Listener
from cluster.client.flows.uplink import Uplink
from cluster.client.forms import BYTES, TEXT, DataForm
from cluster.client.heartbeats import (
    KEEPALIVE_TIME_SECONDS,
    KEEPALIVE_TIMEOUT_SECONDS,
    heartbeats,
)
from cluster.client.namespace import Namespace
from cluster.client.replies import Reply
from cluster.client.requests import Key, to_bytes
from cluster.client.results import Data
from cluster.tls.files import ClientFiles

if TYPE_CHECKING:
    from asyncio import Future
    from pathlib import Path

T = TypeVar("T")


class KeyClient(KeyApi[Data]):
    """A connection to a cluster, with the operations on keys; the arguments are the Client's."""

    @classmethod
    def _shell(cls) -> Shell:
        """What carries the flows of a client."""
        raise NotImplementedError

    def __init__(
        self,
        endpoints: str | Iterable[str] | None = None,
        *,
        dial_timeout: float = 5.0,
        timeout: float = 5.0,
        keepalive_time: float = KEEPALIVE_TIME_SECONDS,
        keepalive_timeout: float = KEEPALIVE_TIMEOUT_SECONDS,
        exactly_once: bool = True,
        direct: bool = True,
        ca_cert: str | Path = "",
        cert: str | Path = "",
        key: str | Path = "",
        insecure_skip_verify: bool = False,
        user: str | None = None,
        password: str | None = None,
        key_file: str | Path = "",
        text: bool = False,
    ) -> None:
        uplink = Uplink(
            self._shell(),
            endpoints,
            dial_timeout=dial_timeout,
            timeout=timeout,
            exactly_once=exactly_once,
            direct=direct,
            heartbeats=heartbeats(keepalive_time, keepalive_timeout),
            files=ClientFiles(str(ca_cert), str(cert), str(key), insecure_skip_verify),
            credentials=credentials(user, password),
            key_file=str(key_file),
        )
        form = TEXT if text else BYTES
        super().__init__(Caller(uplink), cast("DataForm[Data]", form))

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints, as they were given."""
        return self._caller.endpoints

    async def request(
        self,
        fields: dict[str, Any],
        decode: Callable[[Reply], T],
        write: bool | None = None,
        pinned: str | None = None,
        timeout: float | None = None,
    ) -> T:
        """Send one request of PROTOCOL.md and decode its reply.

        `write` overrides what the protocol's table says of the operation. `pinned` is the only
        endpoint to ask. `timeout` (seconds) replaces the client's, for a request whose work takes
        long: then one attempt may use the whole timeout.
        """
        return await self._caller.request(fields, decode, write, pinned, timeout)

    def request_async(
        self, fields: dict[str, Any], decode: Callable[[Reply], T], write: bool | None = None
    ) -> Future[T]:
        """As `request`, but it returns a future at once; callbacks of the future must not block."""
        return self._caller.begin(fields, decode, write)

    def namespace(self, prefix: Key) -> Self:
        """This client, as it sees the keys with a prefix: without the prefix, and no others.

        It shares the connection: to close one of them closes both. Recipes are in the namespace,
        too; leases, members and alarms are those of the whole cluster.

        >>> app = client.namespace("app/")
        >>> put = await app.put("a", "1")
        >>> [kv.key for kv in await client.range()], [kv.key for kv in await app.range()]
        ([b'app/a'], [b'a'])
        """
        inner = self._caller.namespace
        outer = b"" if inner is None else inner.prefix
        whole = outer + to_bytes(prefix)
        inside = type(self).__new__(type(self))
        caller = Caller(self._caller.uplink, Namespace(whole) if whole else None)
        KeyApi.__init__(inside, caller, self._form)
        return inside

    # --- the state of the connection ---

    async def log_in(self) -> None:
        """Get a token now, if the client has a user; else the first request that needs one does."""
        await self._caller.log_in()

    @property
    def state(self) -> ConnectionState:
        """CONNECTED, SUSPENDED (no node can be reached) or LOST (leases have ended)."""
        return self._caller.uplink.states.state

    def add_listener(self, listener: Listener) -> None:
        """Call a function with each new state, in their order.

        SUSPENDED is a time to pause in: what leases hold may be lost before the next CONNECTED.
        LOST: a lease that this client keeps alive has ended, or the client is closed.
        """
        self._caller.uplink.states.add(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Call a listener no more; ValueError when it was not added."""
        self._caller.uplink.states.remove(listener)

    # --- the end ---

    async def close(self) -> None:
        """End all requests, watches and renewals, and close the sockets, for good.

        The leases that it renews, and what they hold, end at once if a node can be reached; else,
        and after `stop` of a lease, when their TTL has passed.
        """
        await self._caller.uplink.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
