"""The URLs of nodes: `tcp://HOST:PORT`, or `http` or `https`, checked and spelled in one way.

A URL keeps the scheme that it was given with: etcd's clients and users do not know `tcp://`, and
they are shown these URLs. `schemes` says what they have in common. Only clients' URLs may be
`https://`: they are checked with `tls=True`. It opens no socket.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from typing import Any, Final

from cluster.schemes import in_order, zeromq_url

MEMBER_URLS_MAX: Final = 8
HOST_CHARS_MAX: Final = 255

_BOUND: Final = {"localhost": "127.0.0.1", "*": "0.0.0.0"}
_UNREACHABLE: Final = frozenset({"*", "0.0.0.0", "[::]"})


class AddressError(ValueError):
    """A URL that cannot be used; `reason` says why, and the message names the URL too."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason


def listen_url(text: str, *, tls: bool = False) -> str:
    """A URL to bind: an IP address, or `*` (every interface); `localhost` becomes an address."""
    scheme, host, port = _address(text, tls=tls)
    bound = _BOUND.get(host, host)
    if not (_is_ipv4(bound) or bound.startswith("[")):
        raise AddressError(f"expected IP in URL for binding ({text})", text)
    return f"{scheme}{bound}:{port}"


def advertised_url(text: str, *, tls: bool = False) -> str:
    """A URL for others to connect to."""
    scheme, host, port = _address(text, tls=tls)
    if host in _UNREACHABLE:
        raise AddressError(f"nobody can connect to {host}; name an address of this host", text)
    return f"{scheme}{host}:{port}"


def place_of(peer: Any) -> str:
    """The other end of a connection, as sockets name it, as text; "" if it is not known."""
    if not isinstance(peer, tuple) or len(peer) < 2 or not peer[0]:
        return ""
    return f"[{peer[0]}]:{peer[1]}" if ":" in str(peer[0]) else f"{peer[0]}:{peer[1]}"


def overlap(one: str, other: str) -> bool:
    """Whether two URLs to bind, as `listen_url` gives them, cannot both be bound."""
    from ipaddress import ip_address  # noqa: PLC0415 - nodes compare URLs, clients only read them

    _, one_host, one_port = _address(one, tls=True)
    _, other_host, other_port = _address(other, tls=True)
    if one_port != other_port:
        return False
    first, second = ip_address(one_host.strip("[]")), ip_address(other_host.strip("[]"))
    if first == second:
        return True
    # "Every interface" overlaps with each address of its version. That of IPv6 may include IPv4.
    everywhere = [each for each in (first, second) if each.is_unspecified]
    return any(each.version == 6 or first.version == second.version for each in everywhere)


def member_urls(texts: Sequence[str]) -> tuple[str, ...]:
    """The peer URLs of one member, each place once and in order, as all members keep them."""
    by_place: dict[str, str] = {}
    for text in texts:
        url = advertised_url(text)
        by_place.setdefault(zeromq_url(url), url)
    if not by_place:
        raise AddressError("no valid URLs given", "[]")
    if len(by_place) > MEMBER_URLS_MAX:
        raise AddressError(
            f"a member has at most {MEMBER_URLS_MAX} URLs", f"{len(by_place)} of them"
        )
    return in_order(by_place.values())


def _address(text: str, *, tls: bool) -> tuple[str, str, int]:
    """Scheme (with its `://`), host and port of a URL."""
    scheme, separator, rest = text.partition("://")
    if scheme in {"unix", "unixs"}:
        raise AddressError("a unix socket is not supported, use tcp://HOST:PORT", text)
    if scheme == "https" and not tls:
        raise AddressError("TLS is for clients alone, members use tcp://HOST:PORT", text)
    if not separator or scheme not in {"tcp", "http", "https"}:
        schemes = "tcp, http or https" if tls else "tcp or http"
        raise AddressError(f"URL scheme must be {schemes}", text)
    address, slash, _ = rest.partition("/")
    if slash:
        raise AddressError("URL must not contain a path", text)
    found = re.fullmatch(r"(\[[^\[\]]+\]|[^:\[\]]+):([0-9]{1,6})", address)
    if found is None:
        raise AddressError('URL address does not have the form "host:port"', text)
    host, port = found[1], int(found[2])
    if not 1 <= port <= 65_535:
        raise AddressError("the port must be between 1 and 65535", text)
    if len(host) > HOST_CHARS_MAX or not _is_host(host):
        raise AddressError(f"{host[:HOST_CHARS_MAX]} is not a host name or IP address", text)
    return scheme + separator, host, port


def _is_host(host: str) -> bool:
    if host.startswith("["):
        return _parses(socket.AF_INET6, host[1:-1])
    if re.fullmatch(r"[0-9.]+", host):
        return _is_ipv4(host)
    # What libzmq accepts as a host: it refuses to connect to others.
    return host == "*" or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", host) is not None


def _is_ipv4(host: str) -> bool:
    return _parses(socket.AF_INET, host)


def _parses(family: socket.AddressFamily, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except OSError:
        return False
    return True
