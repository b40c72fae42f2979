"""Caller: sends the requests of flows over the client's uplink, and decodes the replies.

It refuses to know whether threads or tasks wait for the answers. The keys of its requests are those
of a namespace, if it has one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cluster.client import replies
from cluster.client.engine.call import Call
from cluster.client.engine.leaving import Regret
from cluster.client.engine.notices import Notice, WatchEvents
from cluster.client.flows.shell import Connection, Shell, Subscriber
from cluster.client.flows.uplink import Uplink
from cluster.client.namespace import Namespace
from cluster.errors import LeaseholdError
from cluster.protocol import OPS
from cluster.schema import Effect

if TYPE_CHECKING:
    from asyncio import Future

T = TypeVar("T")

WRITES: Final = frozenset(op.name for op in OPS.values() if op.effect is Effect.WRITE)


class Caller:
    """Sends requests to a cluster and decodes the replies."""

    def __init__(self, uplink: Uplink, namespace: Namespace | None = None) -> None:
        self.uplink = uplink
        self.namespace = namespace
        self.shell: Shell = uplink.shell
        self.timeout: float = uplink.timeout

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints, as they were given."""
        return self.uplink.endpoints

    def connection(self) -> Connection:
        """The running connection."""
        return self.uplink.running or self.uplink.connection()

    async def request(
        self,
        fields: dict[str, Any],
        decode: Callable[[replies.Reply], T],
        write: bool | None = None,
        pinned: str | None = None,
        timeout: float | None = None,
        regret: Regret | None = None,
    ) -> T:
        """Send one request and decode its reply; the arguments are those of `Client.request`.

        `regret` takes the request back if its caller is cancelled and it is done all the same.
        """
        if write is None:
            write = fields["op"] in WRITES
        if self.namespace is not None:
            fields, decode, regret = self._inside(self.namespace, fields, decode, regret)
        call = Call(fields, self.timeout if timeout is None else timeout, write, pinned)
        call.slow = timeout is not None
        connection = self.uplink.running or self.uplink.connection()
        return replies.read(decode, await connection.ask(call, regret))

    def begin(
        self,
        fields: dict[str, Any],
        decode: Callable[[replies.Reply], T],
        write: bool | None = None,
        pinned: str | None = None,
        timeout: float | None = None,
    ) -> Future[T]:
        """As `request`, but it returns a future at once."""
        if write is None:
            write = fields["op"] in WRITES
        if self.namespace is not None:
            fields, decode, _ = self._inside(self.namespace, fields, decode, None)
        call = Call(fields, self.timeout if timeout is None else timeout, write, pinned)
        call.pipelined = True
        return (self.uplink.running or self.uplink.connection()).begin(call, decode)

    async def ask(self, call: Call) -> replies.Reply:
        """Send a call without keys and wait for its reply, or raise its error."""
        return await self.connection().ask(call)

    def repeatable_call(self, fields: dict[str, Any]) -> Call:
        """A call, for `ask`, of a change that has no further effect when it is repeated."""
        call = Call(fields, self.timeout, write=True)
        call.repeatable = True
        return call

    async def log_in(self) -> None:
        """Get a token now, if there is a user; else the first request that needs one does."""
        if self.uplink.options.credentials is not None:
            # Everybody may ask this, and no request is sent before there is a token.
            await self.request({"op": "member_list"}, replies.header)

    def known(self, endpoint: str | None) -> str | None:
        """The endpoint; ValueError if it is not one of the client's."""
        if endpoint is not None and endpoint not in self.uplink.addresses:
            raise ValueError(f"{endpoint!r} is not one of the client's endpoints")
        return endpoint

    def attach(self, connection: Connection, subscriber: Subscriber) -> int:
        """Give the owner of a watch its number, for `open_watch`."""
        if self.namespace is not None:
            subscriber = subscriber._replace(notice=_outside(self.namespace, subscriber.notice))
        return connection.attach(subscriber)

    def open_watch(
        self, connection: Connection, number: int, fields: dict[str, Any], timeout: float
    ) -> None:
        """Open a watch (`fields` of watch_create) within `timeout` seconds."""
        if self.namespace is not None:
            fields = self.namespace.into(fields)
        connection.run(lambda core, now: core.watches.open(number, fields, timeout, now))

    def look(
        self,
        connection: Connection,
        fields: dict[str, Any],
        decode: Callable[[replies.Reply], T],
        timeout: float,
        seen: Callable[[T | LeaseholdError], None],
    ) -> None:
        """Send a read from where nothing may wait: the engine's carrier calls `seen` with what was
        read, or with the error."""
        if self.namespace is not None:
            fields, decode, _ = self._inside(self.namespace, fields, decode, None)
        call = Call(fields, timeout)

        def done(call: Call, now: float) -> None:
            try:
                found = replies.read(decode, call.result())
            except LeaseholdError as error:
                seen(error)
            else:
                seen(found)

        call.on_done = done
        connection.run(lambda core, now: core.calls.begin(call, now))

    @staticmethod
    def _inside(
        namespace: Namespace,
        fields: dict[str, Any],
        decode: Callable[[replies.Reply], T],
        regret: Regret | None,
    ) -> tuple[dict[str, Any], Callable[[replies.Reply], T], Regret | None]:
        """A request of the namespace as one of the whole store."""

        def back(reply: replies.Reply) -> dict[str, Any] | None:
            wish = None if regret is None else regret(reply)
            return None if wish is None else namespace.into(wish)

        return namespace.into(fields), lambda reply: decode(namespace.out(reply)), back


def _outside(namespace: Namespace, notice: Callable[[Notice], bool]) -> Callable[[Notice], bool]:
    """Takes the notices of a watch of the whole store, and passes on those of the namespace."""

    def passes(told: Notice) -> bool:
        if isinstance(told, WatchEvents):
            told = told._replace(events=tuple(map(namespace.event, told.events)))
        return notice(told)

    return passes


class Api:
    """The base of what a program calls on a client: it sends by the client's caller."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
