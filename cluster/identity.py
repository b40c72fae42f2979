"""The identity of a cluster's first members: their ids and the cluster's, from what flags say.

The formulas are etcd's, so that the same flags give the same ids. It opens no socket and creates
nothing on disk.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from cluster.curve import parse_key
from cluster.flag_values import ConfigError, advertised_urls, invalid, split
from cluster.schemes import etcd_url, in_order, zeromq_url

MEMBERS_MAX: Final = 64


class InitialMember(NamedTuple):
    """A member of the cluster as `--initial-cluster` names it; URLs are canonical and sorted.

    `id` is 0 if the cluster exists already: then only the cluster itself knows the id. `key` is its
    public key, where members have keys.
    """

    id: int
    name: str
    peer_urls: tuple[str, ...]
    key: str = ""


def member_id_of(peer_urls: tuple[str, ...], token: str) -> int:
    """Etcd's id of a member of the first configuration: from its peer URLs and the cluster's token.

    `tcp://` and `http://` are the same address, so both are hashed the way etcd spells it.
    """
    spelled = sorted(map(etcd_url, peer_urls))
    return first_eight(("".join(spelled) + token).encode())


def cluster_id_of(member_ids: list[int]) -> int:
    """Etcd's id of a cluster: from the ids of its first members."""
    return first_eight(b"".join(member.to_bytes(8, "big") for member in sorted(member_ids)))


def initial_members(text: str, token: str) -> tuple[InitialMember, ...]:
    """Parse `n1=url#KEY,n2=url`, where a name with several URLs is repeated; ordered by id.

    The keys may be left out.
    """
    flag = "initial-cluster"
    urls_by_name: dict[str, list[str]] = {}
    keys: dict[str, str] = {}
    seen: set[str] = set()
    for part in split(text):
        name, equals, url_text = part.partition("=")
        url_text, _, key = url_text.partition("#")
        if not equals or not name or not url_text:
            raise invalid(flag, part, "expected NAME=URL")
        if key and keys.setdefault(name, _key(flag, part, key)) != key.lower():
            raise ConfigError(f"--{flag} has two keys of {name}")
        (url,) = advertised_urls(flag, url_text)
        if zeromq_url(url) in seen:
            raise ConfigError(f"--{flag}: initial cluster {text} has duplicate url")
        seen.add(zeromq_url(url))
        urls_by_name.setdefault(name, []).append(url)
    if not urls_by_name:
        raise invalid(flag, text, "it names no member")
    if len(urls_by_name) > MEMBERS_MAX:
        raise ConfigError(f"--{flag}: {len(urls_by_name)} members, the limit is {MEMBERS_MAX}")
    members = [
        InitialMember(member_id_of(tuple(urls), token), name, in_order(urls), keys.get(name, ""))
        for name, urls in urls_by_name.items()
    ]
    return tuple(sorted(members))


def _key(flag: str, part: str, text: str) -> str:
    try:
        return parse_key(text)
    except ValueError as error:
        raise invalid(flag, part, str(error)) from None


def first_eight(data: bytes) -> int:
    """The first eight bytes of a SHA-1 as a number: etcd's way to make ids."""
    return int.from_bytes(hashlib.sha1(data, usedforsecurity=False).digest()[:8], "big")
