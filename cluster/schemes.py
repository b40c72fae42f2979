"""The schemes of URLs, `tcp://`, `http://` and `https://`, and what they have in common.

Between members the first two mean ZeroMQ over plain TCP. Clients have all three: a front serves
`http://` without and `https://` with TLS, both also on one port. So URLs that differ only in scheme
lead to one place. It takes URLs that `addresses` has checked, and refuses to know hosts and ports.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

TCP: Final = "tcp://"
HTTP: Final = "http://"
HTTPS: Final = "https://"

OF_FRONTS: Final = (HTTP, HTTPS)
"""The schemes of the URLs that a front serves."""

LISTEN_BACKLOG: Final = 1_024
"""The connections that may wait at a URL of any scheme until they are accepted."""


def in_order(urls: Iterable[str]) -> tuple[str, ...]:
    """URLs sorted by what follows the scheme."""
    return tuple(sorted(urls, key=zeromq_url))


def places(urls: Iterable[str]) -> set[str]:
    """The places that URLs lead to, to compare: the scheme makes no difference."""
    return {zeromq_url(url) for url in urls}


def zeromq_url(url: str) -> str:
    """A URL as ZeroMQ takes it, to bind or to connect: `tcp://` in the place of other schemes."""
    for scheme in OF_FRONTS:
        if url.startswith(scheme):
            return TCP + url.removeprefix(scheme)
    return url


def etcd_url(url: str) -> str:
    """A URL as etcd spells it, which has no `tcp://`: the ids of members are hashes of these."""
    return HTTP + url.removeprefix(TCP) if url.startswith(TCP) else url
