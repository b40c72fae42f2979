"""Endpoints: how they are written, and which one the next request should go to.

Pure: it knows which connections are up and when each endpoint last failed, and nothing of requests.
The connection to an endpoint has the endpoint's name. An endpoint may have a second connection, to
the same member without its front.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from cluster.client.engine.news import News, Turn
from cluster.curve import parse_key
from cluster.schemes import HTTP, HTTPS, TCP

DEFAULT_ENDPOINT: Final = "127.0.0.1:2379"
ENVIRONMENT_NAMES: Final = ("LEASECTL_ENDPOINTS", "ETCDCTL_ENDPOINTS")
ENDPOINTS_MAX: Final = 64

_SCHEMES: Final = {TCP: TCP, HTTP: TCP, HTTPS: HTTPS}
_NEVER: Final = float("-inf")

BROKEN: Final = "the connection broke"
LEARNER: Final = "it is a learner"


def parse(
    given: str | Iterable[str] | None,
    environment: Mapping[str, str] | None = None,
    *,
    tls: bool = False,
    known: Sequence[str] = (),
) -> dict[str, str]:
    """Map each endpoint, as it was written, to its address; ValueError names a bad one.

    Without `given`, the endpoints come from the environment, else they are the `known` ones with
    their nodes' keys (a cluster file), else there is the default one. `HOST:PORT#KEY` names the key
    of a node, and its address does: nobody else is believed there. So has an endpoint that is
    `known` with a key.
    `http://` is accepted because etcd's users write it: it means plain TCP here too. An endpoint
    with `https://`, or with `tls` one without a scheme, has an address with `https://`.
    """
    if given is None:
        for name in ENVIRONMENT_NAMES:
            given = given or (environment or {}).get(name)
        given = given or list(known) or DEFAULT_ENDPOINT
    texts = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"an endpoint is a text such as {DEFAULT_ENDPOINT!r}, not {text!r}")
    written = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    if not written:
        raise ValueError("no endpoints were given")
    if len(written) > ENDPOINTS_MAX:
        raise ValueError(f"{len(written)} endpoints are more than {ENDPOINTS_MAX}")
    addresses = {endpoint: address(endpoint, tls=tls) for endpoint in written}
    pinned = {each.partition("#")[0]: each for each in map(address, known)}
    return {name: pinned.get(each, each) for name, each in addresses.items()}


def address(endpoint: str, *, tls: bool = False) -> str:
    """The address of `host:port` or a URL: ZeroMQ's, `tcp://host:port`, or inside TLS
    `https://host:port`. Without a scheme `tls` decides. A key behind it (`#KEY`) stays there."""
    whole, (endpoint, pin, key) = endpoint, endpoint.partition("#")
    if pin:
        return f"{address(endpoint)}#{_key(whole, key)}"
    scheme, separator, rest = endpoint.partition("://")
    kind = _SCHEMES.get(scheme + separator) if separator else HTTPS if tls else TCP
    if kind is None:
        raise ValueError(f"endpoint {endpoint!r}: scheme {scheme!r} is not tcp, http or https")
    rest = rest.rstrip("/") if separator else endpoint
    host, colon, port = rest.rpartition(":")
    if not colon or not host:
        raise ValueError(f"endpoint {endpoint!r} is not host:port")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"endpoint {endpoint!r}: an IPv6 address needs brackets, [::1]:2379")
    if any(character in host for character in "/ @?#\t"):
        raise ValueError(f"endpoint {endpoint!r}: {host!r} is not a host name")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"endpoint {endpoint!r}: {port!r} is no port from 1 to 65535")
    return f"{kind}{host}:{int(port)}"


def _key(endpoint: str, text: str) -> str:
    if endpoint.startswith(HTTPS):
        raise ValueError(f"endpoint {endpoint!r}: a node has a certificate there, and no key")
    try:
        return parse_key(text)
    except ValueError as error:
        raise ValueError(f"endpoint {endpoint!r}: {error}") from None


class Endpoints:
    """The choice of an endpoint: stay with one that answers, leave one that failed.

    `first` is the index of the endpoint that is preferred at the start. An endpoint is set aside,
    with a reason for error texts, while no connection to it is possible. `news` is told of each
    change of the endpoint.
    """

    def __init__(self, names: Iterable[str], first: int, news: list[News]) -> None:
        ordered = list(names)
        assert ordered, "a client needs an endpoint"
        self.names: tuple[str, ...] = tuple(ordered[first:] + ordered[:first])
        # The connections that are established, by name; and the endpoint of each connection.
        self._up: set[str] = set()
        self._endpoint_of = {name: name for name in self.names}
        # The direct connections in use, by endpoint.
        self._direct: dict[str, str] = {}
        self._failed_at: dict[str, float] = dict.fromkeys(self.names, _NEVER)
        # Those whose last failure was that they are learners.
        self._learners: set[str] = set()
        self._current: str | None = None
        # The endpoint before the present one, and why it was left.
        self._before = ""
        self._cause = ""
        self._news = news
        # The leader's endpoint, as far as it is known and has not failed since.
        self.leader: str | None = None
        self._set_aside: dict[str, str] = {}
        # Those that requests may only be pinned to, and why.
        self._refused: Mapping[str, str] = {}

    @property
    def any_up(self) -> bool:
        """Whether a request can be sent to some endpoint."""
        return self.up_count > 0

    @property
    def up_count(self) -> int:
        """The number of endpoints that a request can be sent to."""
        return sum(self._is_open(name) for name in self.names)

    def has_unasked(self, attempts: int) -> bool:
        """Whether one of those that can be asked got none of a call's `attempts` yet."""
        return attempts < self.up_count

    def may_be_voters(self, attempts: int) -> bool:
        """Whether a voter may be among those that can be asked, of a call that was sent `attempts`
        times: one was not asked yet, or refused for another reason than that it is a learner."""
        up = [name for name in self.names if self._is_open(name)]
        return self.has_unasked(attempts) or not self._learners.issuperset(up)

    def is_known(self, connection: str) -> bool:
        """Whether there is a connection of this name, established or not."""
        return connection in self._endpoint_of

    def is_up(self, connection: str) -> bool:
        """Whether this connection is established."""
        return connection in self._up

    def route(self, name: str) -> str | None:
        """The connection for a request to an endpoint, or to a direct connection by its name; None
        while it is not established."""
        connection = self._direct.get(name, name)
        return connection if connection in self._up else None

    def _is_open(self, name: str) -> bool:
        """Whether a request for no particular endpoint may go there now."""
        return name not in self._refused and self.route(name) is not None

    def came_up(self, connection: str) -> None:
        """The connection is established."""
        assert connection in self._endpoint_of, f"{connection} is no connection of this client"
        self._up.add(connection)
        self._set_aside.pop(connection, None)

    def went_down(self, connection: str, now: float) -> None:
        """The connection is gone: nothing can be sent there until it comes up again."""
        self._up.discard(connection)
        endpoint = self._endpoint_of[connection]
        if self.route(endpoint) is None:
            self.failed(connection, now, BROKEN)
        if self._direct.get(endpoint) == connection:
            del self._direct[endpoint]

    def failed(self, connection: str, now: float, cause: str) -> None:
        """A request failed there: prefer another endpoint from now on, if one is up.

        A direct connection that is not in use yet says nothing of its endpoint.
        """
        endpoint = self._endpoint_of[connection]
        if connection not in (endpoint, self._direct.get(endpoint)):
            return
        self._failed_at[endpoint] = now
        self._learners.discard(endpoint)
        if cause == LEARNER:
            self._learners.add(endpoint)
        if self._current == endpoint:
            self._current = None
            self._cause = cause
        if self.leader == endpoint:
            self.leader = None

    def add(self, connection: str, endpoint: str) -> None:
        """There is a direct connection to the endpoint's member; no request goes by it yet."""
        self._endpoint_of[connection] = endpoint

    def append(self, name: str, now: float) -> None:
        """There is one more endpoint; it counts as one that has just failed."""
        self.names = (*self.names, name)
        self._endpoint_of[name] = name
        self._failed_at[name] = now

    def use(self, connection: str) -> None:
        """Requests to the endpoint go by this direct connection from now on, while it is up."""
        if connection in self._up:
            self._direct[self._endpoint_of[connection]] = connection

    def forget(self, connection: str) -> None:
        """A direct connection is given up, whether it is up or not."""
        self._up.discard(connection)
        endpoint = self._endpoint_of.pop(connection)
        if self._direct.get(endpoint) == connection:
            del self._direct[endpoint]

    def set_aside(self, name: str, reason: str) -> bool:
        """No connection is possible there, for this reason; whether the reason is news.

        It never is for a direct connection: the endpoint goes on without.
        """
        if name not in self._failed_at:
            return False
        is_news = self._set_aside.get(name) != reason
        self._set_aside[name] = reason
        return is_news

    def refuse(self, reasons: Mapping[str, str]) -> Mapping[str, str]:
        """Choose none of these endpoints any more, and all others again; those that are news."""
        news = {name: why for name, why in reasons.items() if self._refused.get(name) != why}
        self._refused = reasons
        if self._current is not None and self._current in reasons:
            self._cause = reasons[self._current]
            self._current = None
        if self.leader in reasons:
            self.leader = None
        return news

    def described(self, only: str | None = None) -> str:
        """The endpoints, or only one of them, as a text; with the reasons of those set aside."""
        names = self.names if only is None else (only,)
        reasons = {**self._refused, **self._set_aside}
        return ", ".join(f"{n} ({reasons[n]})" if n in reasons else n for n in names)

    def choose(self, write: bool = False) -> str | None:
        """The endpoint to send to, or None while no connection is established.

        A `write` goes to the leader's, if that is known and can be reached.
        """
        if write and self.leader is not None and self._is_open(self.leader):
            return self.leader
        if self._current is None and self._up:
            # The endpoint whose last failure is longest ago; the given order breaks ties.
            self._current = min(
                (name for name in self.names if self._is_open(name)),
                key=self._failed_at.__getitem__,
                default=None,
            )
            self._tell_current()
        return self._current

    def _tell_current(self) -> None:
        if self._current is not None and self._current != self._before:
            self._news.append(Turn(self._current, self._before, self._cause))
            self._before = self._current
