"""Endpoints: how they are written, and which one the next request should go to.

Pure: it knows which connections are up and when each endpoint last failed, and nothing of requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

DEFAULT_ENDPOINT: Final = "127.0.0.1:2379"
ENVIRONMENT_NAMES: Final = ("LEASECTL_ENDPOINTS", "ETCDCTL_ENDPOINTS")
ENDPOINTS_MAX: Final = 64

_PLAIN_SCHEMES: Final = ("tcp://", "http://")
_NEVER: Final = float("-inf")


def parse(
    given: str | Iterable[str] | None, environment: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Map each endpoint, as it was written, to its ZeroMQ address; ValueError names a bad one.

    Without `given`, the endpoints come from the environment, else there is the default one.
    `http://` is accepted because etcd's users write it: it means plain TCP here too.
    """
    if given is None:
        for name in ENVIRONMENT_NAMES:
            given = given or (environment or {}).get(name)
        given = given or DEFAULT_ENDPOINT
    texts = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"an endpoint is a text such as {DEFAULT_ENDPOINT!r}, not {text!r}")
    written = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    if not written:
        raise ValueError("no endpoints were given")
    if len(written) > ENDPOINTS_MAX:
        raise ValueError(f"{len(written)} endpoints are more than {ENDPOINTS_MAX}")
    return {endpoint: address(endpoint) for endpoint in written}


def address(endpoint: str) -> str:
    """The ZeroMQ address of `host:port`, `tcp://host:port` or `http://host:port`."""
    rest = endpoint
    for scheme in _PLAIN_SCHEMES:
        if endpoint.startswith(scheme):
            rest = endpoint[len(scheme) :].rstrip("/")
            break
    else:
        if "://" in endpoint:
            scheme = endpoint.partition("://")[0]
            raise ValueError(f"endpoint {endpoint!r}: scheme {scheme!r} is not tcp or http")
    host, colon, port = rest.rpartition(":")
    if not colon or not host:
        raise ValueError(f"endpoint {endpoint!r} is not host:port")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"endpoint {endpoint!r}: an IPv6 address needs brackets, [::1]:2379")
    if any(character in host for character in "/ @?#\t"):
        raise ValueError(f"endpoint {endpoint!r}: {host!r} is not a host name")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"endpoint {endpoint!r}: {port!r} is no port from 1 to 65535")
    return f"tcp://{host}:{int(port)}"


class Endpoints:
    """The choice of an endpoint: stay with one that answers, leave one that failed.

    `first` is the index of the endpoint that is preferred at the start. An endpoint is set aside,
    with a reason for error texts, while no connection to it is possible.
    """

    def __init__(self, names: Iterable[str], first: int = 0) -> None:
        ordered = list(names)
        assert ordered, "a client needs an endpoint"
        self.names: tuple[str, ...] = tuple(ordered[first:] + ordered[:first])
        self._up: set[str] = set()
        self._failed_at: dict[str, float] = dict.fromkeys(self.names, _NEVER)
        self._current: str | None = None
        self._set_aside: dict[str, str] = {}

    @property
    def any_up(self) -> bool:
        """Whether a connection to some endpoint is established."""
        return bool(self._up)

    @property
    def up_count(self) -> int:
        """The number of endpoints with an established connection."""
        return len(self._up)

    def is_up(self, name: str) -> bool:
        """Whether the connection to this endpoint is established."""
        return name in self._up

    def came_up(self, name: str) -> None:
        """The connection is established: the endpoint may be used."""
        assert name in self._failed_at, f"{name} is not one of the endpoints"
        self._up.add(name)
        self._set_aside.pop(name, None)

    def went_down(self, name: str, now: float) -> None:
        """The connection is gone: nothing can be sent until it comes up again."""
        self._up.discard(name)
        self.failed(name, now)

    def failed(self, name: str, now: float) -> None:
        """A request failed there: prefer another endpoint from now on, if one is up."""
        self._failed_at[name] = now
        if self._current == name:
            self._current = None

    def set_aside(self, name: str, reason: str) -> bool:
        """No connection is possible there, for this reason; whether the reason is a new one."""
        is_news = self._set_aside.get(name) != reason
        self._set_aside[name] = reason
        return is_news

    def described(self, only: str | None = None) -> str:
        """The endpoints, or only one of them, as a text; with the reasons of those set aside."""
        names = self.names if only is None else (only,)
        reasons = self._set_aside
        return ", ".join(f"{n} ({reasons[n]})" if n in reasons else n for n in names)

    def choose(self) -> str | None:
        """The endpoint to send to, or None while no connection is established."""
        if self._current is None and self._up:
            # The endpoint whose last failure is longest ago; the given order breaks ties.
            self._current = min(
                (name for name in self.names if name in self._up),
                key=self._failed_at.__getitem__,
            )
        return self._current
