"""What one node is told when it starts: its flags, checked and turned into a NodeConfig.

Names, defaults and messages are etcd's, and so are the formulas of member and cluster ids, so that
an etcd user's command line works here. Opens no socket and creates nothing on disk.
"""

from __future__ import annotations

import hashlib
import math
import re
import socket
from pathlib import Path
from typing import Final, NamedTuple

ELECTION_TIMEOUT_MS_MAX: Final = 50_000
ELECTION_HEARTBEATS_MIN: Final = 5
"""An election timeout is at least so many heartbeat intervals, as in etcd."""

REQUEST_BYTES_MAX: Final = 8 * 1024 * 1024
"""The highest --max-request-bytes: a request and its framing must fit into a client's frame."""

MEMBERS_MAX: Final = 64

LOG_LEVELS: Final = ("debug", "info", "warn", "error")


class ConfigError(ValueError):
    """A flag that cannot be honoured; the message is one line and names flag and value."""


class NodeFlags(NamedTuple):
    """A node's flags as an operator types them: `--listen-peer-urls` is `listen_peer_urls`.

    An empty text means "not given" where the default depends on other flags.
    """

    name: str = "default"
    data_dir: str = ""
    listen_client_urls: str = ""
    advertise_client_urls: str = ""
    listen_peer_urls: str = "tcp://localhost:2380"
    initial_advertise_peer_urls: str = "tcp://localhost:2380"
    initial_cluster: str = ""
    initial_cluster_state: str = "new"
    initial_cluster_token: str = "etcd-cluster"
    heartbeat_interval: str = "50"
    election_timeout: str = "300"
    max_request_bytes: str = "1572864"
    min_lease_ttl: str = ""
    log_level: str = "info"


class InitialMember(NamedTuple):
    """A member of the cluster as `--initial-cluster` names it; URLs are canonical and sorted."""

    id: int
    name: str
    peer_urls: tuple[str, ...]


class NodeConfig(NamedTuple):
    """One node, ready to run. URLs are `tcp://HOST:PORT`, as ZeroMQ takes them."""

    name: str
    member_id: int
    cluster_id: int
    data_dir: Path
    listen_client_urls: tuple[str, ...]
    advertise_client_urls: tuple[str, ...]
    listen_peer_urls: tuple[str, ...]
    members: tuple[InitialMember, ...]
    heartbeat_interval_ms: int
    election_timeout_ms: int
    max_request_bytes: int
    min_lease_ttl_ms: int
    log_level: str

    @property
    def peers(self) -> tuple[InitialMember, ...]:
        """The other members."""
        return tuple(member for member in self.members if member.id != self.member_id)

    @property
    def uses_ipv6(self) -> bool:
        """Whether any address is an IPv6 literal, for which ZeroMQ sockets need the IPV6 option."""
        urls = [url for member in self.members for url in member.peer_urls]
        return any("[" in url for url in (*urls, *self.listen_client_urls, *self.listen_peer_urls))


def resolve(flags: NodeFlags) -> NodeConfig:
    """Check the flags, apply etcd's defaults and compute the ids. Raises ConfigError."""
    if not flags.name or re.search(r"[=,\s/]", flags.name):
        raise _invalid("name", flags.name, "a name has no space, comma, slash or equals sign")
    if flags.listen_client_urls and not flags.advertise_client_urls:
        raise ConfigError(
            "--advertise-client-urls is required when --listen-client-urls is set explicitly"
        )
    client_default = "tcp://localhost:2379"
    advertised_peer_urls = advertised_urls(
        "initial-advertise-peer-urls", flags.initial_advertise_peer_urls
    )
    members = initial_members(
        flags.initial_cluster or ",".join(f"{flags.name}={url}" for url in advertised_peer_urls),
        flags.initial_cluster_token,
    )
    heartbeat_ms, election_ms = _timing(flags)
    data_dir = Path(flags.data_dir or f"{flags.name}.leasehold")
    _check_state(flags.initial_cluster_state, data_dir)
    if flags.log_level not in LOG_LEVELS:
        raise _invalid("log-level", flags.log_level, f"one of {', '.join(LOG_LEVELS)}")
    return NodeConfig(
        name=flags.name,
        member_id=_own_member(flags.name, members, advertised_peer_urls).id,
        cluster_id=cluster_id_of([member.id for member in members]),
        data_dir=data_dir,
        listen_client_urls=listen_urls(
            "listen-client-urls", flags.listen_client_urls or client_default
        ),
        advertise_client_urls=advertised_urls(
            "advertise-client-urls", flags.advertise_client_urls or client_default
        ),
        listen_peer_urls=listen_urls("listen-peer-urls", flags.listen_peer_urls),
        members=members,
        heartbeat_interval_ms=heartbeat_ms,
        election_timeout_ms=election_ms,
        max_request_bytes=_max_request_bytes(flags),
        min_lease_ttl_ms=_min_lease_ttl_ms(flags, election_ms),
        log_level=flags.log_level,
    )


# --- identity ---------------------------------------------------------------------------------


def member_id_of(peer_urls: tuple[str, ...], token: str) -> int:
    """Etcd's id of a member of the first configuration: from its peer URLs and the cluster's token.

    `tcp://` and `http://` are the same address, so both are hashed the way etcd spells it.
    """
    spelled = sorted(url.replace("tcp://", "http://", 1) for url in peer_urls)
    return _first_eight(("".join(spelled) + token).encode())


def cluster_id_of(member_ids: list[int]) -> int:
    """Etcd's id of a cluster: from the ids of its first members."""
    return _first_eight(b"".join(member.to_bytes(8, "big") for member in sorted(member_ids)))


def initial_members(text: str, token: str) -> tuple[InitialMember, ...]:
    """Parse `n1=url,n2=url`, where a name with several URLs is repeated; ordered by id."""
    flag = "initial-cluster"
    urls_by_name: dict[str, list[str]] = {}
    seen: set[str] = set()
    for part in _split(text):
        name, equals, url_text = part.partition("=")
        if not equals or not name or not url_text:
            raise _invalid(flag, part, "expected NAME=URL")
        url = _advertised_url(flag, url_text)
        if url in seen:
            raise ConfigError(f"--{flag}: initial cluster {text} has duplicate url")
        seen.add(url)
        urls_by_name.setdefault(name, []).append(url)
    if not urls_by_name:
        raise _invalid(flag, text, "it names no member")
    if len(urls_by_name) > MEMBERS_MAX:
        raise ConfigError(f"--{flag}: {len(urls_by_name)} members, the limit is {MEMBERS_MAX}")
    members = [
        InitialMember(member_id_of(tuple(urls), token), name, tuple(sorted(urls)))
        for name, urls in urls_by_name.items()
    ]
    return tuple(sorted(members))


def _own_member(
    name: str, members: tuple[InitialMember, ...], advertised: tuple[str, ...]
) -> InitialMember:
    own = next((member for member in members if member.name == name), None)
    if own is None:
        raise ConfigError(
            f'couldn\'t find local name "{name}" in the initial cluster configuration'
            f" (--name={name}, --initial-cluster has"
            f" {', '.join(sorted(member.name for member in members))})"
        )
    for url in own.peer_urls:
        if url not in advertised:
            raise ConfigError(
                f"--initial-cluster has {name}={url} but missing from"
                f" --initial-advertise-peer-urls={','.join(advertised)}"
            )
    for url in advertised:
        if url not in own.peer_urls:
            raise ConfigError(
                f"--initial-advertise-peer-urls has {url} but missing from"
                f" --initial-cluster={','.join(f'{name}={other}' for other in own.peer_urls)}"
            )
    return own


def _first_eight(data: bytes) -> int:
    return int.from_bytes(hashlib.sha1(data, usedforsecurity=False).digest()[:8], "big")


# --- addresses --------------------------------------------------------------------------------


def listen_urls(flag: str, text: str) -> tuple[str, ...]:
    """URLs to bind: an IP address, `localhost` or `*` (every interface), in ZeroMQ's form."""
    urls = []
    for part in _split(text):
        host, port = _address(flag, part)
        bound = {"localhost": "127.0.0.1", "*": "0.0.0.0"}.get(host, host)
        if not (_is_ipv4(bound) or bound.startswith("[")):
            raise _invalid(flag, part, f"expected IP in URL for binding ({part})")
        urls.append(f"tcp://{bound}:{port}")
    return _at_least_one(flag, text, urls)


def advertised_urls(flag: str, text: str) -> tuple[str, ...]:
    """URLs for others to connect to, in the order given."""
    return _at_least_one(flag, text, [_advertised_url(flag, part) for part in _split(text)])


def _advertised_url(flag: str, text: str) -> str:
    host, port = _address(flag, text)
    if host in {"*", "0.0.0.0", "[::]"}:
        raise _invalid(flag, text, f"nobody can connect to {host}; name an address of this host")
    return f"tcp://{host}:{port}"


def _address(flag: str, text: str) -> tuple[str, int]:
    """Host and port of a `tcp://` or `http://` URL: both mean plain TCP."""
    scheme, separator, rest = text.partition("://")
    if scheme in {"https", "unix", "unixs"}:
        kind = "TLS" if scheme == "https" else "a unix socket"
        raise _invalid(flag, text, f"{kind} is not supported, use tcp://HOST:PORT")
    if not separator or scheme not in {"tcp", "http"}:
        raise _invalid(flag, text, "URL scheme must be tcp or http")
    address, slash, _ = rest.partition("/")
    if slash:
        raise _invalid(flag, text, "URL must not contain a path")
    found = re.fullmatch(r"(\[[^\[\]]+\]|[^:\[\]]+):([0-9]{1,6})", address)
    if found is None:
        raise _invalid(flag, text, 'URL address does not have the form "host:port"')
    host, port = found[1], int(found[2])
    if not 1 <= port <= 65_535:
        raise _invalid(flag, text, "the port must be between 1 and 65535")
    if not _is_host(host):
        raise _invalid(flag, text, f"{host} is no host name or IP address")
    return host, port


def _is_host(host: str) -> bool:
    if host.startswith("["):
        return _parses(socket.AF_INET6, host[1:-1])
    if re.fullmatch(r"[0-9.]+", host):
        return _is_ipv4(host)
    return host == "*" or re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]*)", host) is not None


def _is_ipv4(host: str) -> bool:
    return _parses(socket.AF_INET, host)


def _parses(family: socket.AddressFamily, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except OSError:
        return False
    return True


def _at_least_one(flag: str, text: str, urls: list[str]) -> tuple[str, ...]:
    if not urls:
        raise _invalid(flag, text, "it names no URL")
    return tuple(urls)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


# --- numbers ----------------------------------------------------------------------------------


def _timing(flags: NodeFlags) -> tuple[int, int]:
    heartbeat_ms = _integer("heartbeat-interval", flags.heartbeat_interval)
    election_ms = _integer("election-timeout", flags.election_timeout)
    if heartbeat_ms <= 0:
        raise ConfigError(f"--heartbeat-interval must be >0 (set to {heartbeat_ms}ms)")
    if election_ms <= 0:
        raise ConfigError(f"--election-timeout must be >0 (set to {election_ms}ms)")
    if election_ms < ELECTION_HEARTBEATS_MIN * heartbeat_ms:
        raise ConfigError(
            f"--election-timeout[{election_ms}ms] should be at least as"
            f" {ELECTION_HEARTBEATS_MIN} times as --heartbeat-interval[{heartbeat_ms}ms]"
        )
    if election_ms > ELECTION_TIMEOUT_MS_MAX:
        raise ConfigError(
            f"--election-timeout[{election_ms}ms] is too long, and should be set less than"
            f" {ELECTION_TIMEOUT_MS_MAX}ms"
        )
    return heartbeat_ms, election_ms


def _max_request_bytes(flags: NodeFlags) -> int:
    limit = _integer("max-request-bytes", flags.max_request_bytes)
    if not 1 <= limit <= REQUEST_BYTES_MAX:
        raise _invalid("max-request-bytes", str(limit), f"between 1 and {REQUEST_BYTES_MAX}")
    return limit


def _min_lease_ttl_ms(flags: NodeFlags, election_ms: int) -> int:
    """Etcd's minimum is one and a half election timeouts, rounded up to whole seconds."""
    text = flags.min_lease_ttl
    if not text:
        return math.ceil(1.5 * election_ms / 1000) * 1000
    try:
        seconds = float(text)
    except ValueError:
        raise _invalid("min-lease-ttl", text, "expected seconds, such as 0.5") from None
    if not 0.001 <= seconds <= 9_000_000_000:
        raise _invalid("min-lease-ttl", text, "between 0.001 and 9000000000 seconds")
    return math.ceil(seconds * 1000)


def _integer(flag: str, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise _invalid(flag, text, "expected an integer")
    return int(text)


def _check_state(state: str, data_dir: Path) -> None:
    if state not in {"new", "existing"}:
        raise _invalid("initial-cluster-state", state, "new or existing")
    empty = not data_dir.is_dir() or not any(data_dir.iterdir())
    if state == "existing" and empty:
        raise ConfigError(
            f"--initial-cluster-state=existing: the data directory {data_dir} is empty, and joining"
            " a running cluster as a new member is not supported yet"
        )


def _invalid(flag: str, value: str, reason: str) -> ConfigError:
    return ConfigError(f'invalid value "{value}" for flag --{flag}: {reason}')
