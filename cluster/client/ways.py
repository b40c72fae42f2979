"""Ways: where libzmq connects to reach an address, which may be inside TLS.

It is for those who ask nodes without a client, such as a load generator. Refuses to know sockets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster.schemes import HTTPS

if TYPE_CHECKING:
    from ssl import SSLContext

    from cluster.client.relay import Relay


class Ways:
    """`tls` is for addresses with https; without it there may be none of them."""

    def __init__(self, tls: SSLContext | None) -> None:
        self._relay = None if tls is None else _relay(tls)
        self._opened: dict[str, str] = {}
        self._reasons: dict[str, str] = {}

    @property
    def are_secure(self) -> bool:
        """Whether addresses with https can be reached."""
        return self._relay is not None

    def to(self, address: str) -> str:
        """What libzmq connects to; any number of connections may use it."""
        if not address.startswith(HTTPS):
            return address
        if address not in self._opened:
            from cluster.client.relay import Target  # noqa: PLC0415 - only with TLS

            assert self._relay is not None, "only with TLS is there https"
            host, _, port = address.removeprefix(HTTPS).rpartition(":")
            host = host.strip("[]")
            self._opened[address] = self._relay.open(Target(address, host, int(port), host))
        return self._opened[address]

    def reason(self, address: str) -> str:
        """Why no connection inside TLS was made there when that was last tried; "": no reason."""
        for failed in () if self._relay is None else self._relay.take():
            self._reasons[failed.name] = failed.reason
        return self._reasons.get(address, "")

    def close(self) -> None:
        """End all connections inside TLS, after the sockets are closed that use them."""
        if self._relay is not None:
            self._relay.end()


def _relay(tls: SSLContext) -> Relay:
    from cluster.client.relay import Relay  # noqa: PLC0415 - only with TLS

    return Relay(tls, lambda: None)
