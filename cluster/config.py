"""The flags of one node, checked and turned into a NodeConfig.

The names, defaults and error texts are etcd's, so that the command line of an etcd user works here.
It opens no socket and creates nothing on disk.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from cluster.audit_flags import AuditConfig, AuditFlags, audit_config
from cluster.exposure import refuse_open_clients, refuse_open_peers
from cluster.flag_values import (
    ConfigError,
    advertised_urls,
    at_least,
    between,
    duration_ms,
    invalid,
    is_on,
    listen_urls,
    refuse_overlap,
    split,
)
from cluster.identity import InitialMember, cluster_id_of, initial_members
from cluster.initial_keys import keyed_members
from cluster.key_files import MEMBER_FILE
from cluster.logs import LOG_FORMATS
from cluster.numbers import max_request_bytes, min_lease_ttl_ms, quota, retention, timing
from cluster.schemes import HTTP, HTTPS, OF_FRONTS, TCP, places, zeromq_url
from cluster.tls.options import ServerTls, TlsFlags, server_tls

CLIENT_DEFAULT: Final = "http://localhost:2379"
"""Where clients are served if no flag says so, as in etcd."""

SCRYPT_OVER_BCRYPT: Final = 4
"""At etcd's default --bcrypt-cost, 10, scrypt takes 2**14 steps: about as long as bcrypt, 50 ms.
The highest is 14 here, for scrypt then takes 256 MiB."""

LOG_LEVELS: Final = ("debug", "info", "warn", "error")


class NodeFlags(NamedTuple):
    """A node's flags as an operator types them: `--listen-peer-urls` is `listen_peer_urls`.

    Where the default depends on other flags, an empty text means "not given".
    """

    name: str = "default"
    data_dir: str = ""
    listen_client_urls: str = ""
    listen_metrics_urls: str = ""
    advertise_client_urls: str = ""
    listen_peer_urls: str = "tcp://localhost:2380"
    initial_advertise_peer_urls: str = "tcp://localhost:2380"
    initial_cluster: str = ""
    initial_cluster_state: str = "new"
    initial_cluster_token: str = "etcd-cluster"
    initial_cluster_key_file: str = ""
    client_keys: str = "false"
    insecure: str = "false"
    heartbeat_interval: str = "50"
    election_timeout: str = "300"
    max_request_bytes: str = "1572864"
    max_txn_ops: str = "128"
    min_lease_ttl: str = ""
    snapshot_catchup_entries: str = "5000"
    auto_compaction_mode: str = "periodic"
    auto_compaction_retention: str = "0"
    quota_backend_bytes: str = "0"
    corrupt_check_time: str = "10s"
    watch_progress_notify_interval: str = "10m"
    cors: str = "*"
    cert_file: str = ""
    key_file: str = ""
    trusted_ca_file: str = ""
    client_cert_auth: str = "false"
    cipher_suites: str = ""
    tls_min_version: str = "TLS1.2"
    tls_max_version: str = ""
    auto_tls: str = "false"
    self_signed_cert_validity: str = "1"
    auth_token_ttl: str = "300"
    bcrypt_cost: str = "10"
    audit_log: str = ""
    audit_log_level: str = "auth"
    audit_log_maxsize: str = "100"
    audit_log_maxbackup: str = "10"
    log_level: str = "info"
    log_format: str = "text"


class NodeConfig(NamedTuple):
    """The configuration of one node. URLs keep the scheme they were given with.

    With `--initial-cluster-state existing` the ids are 0. They are in the data directory, or, while
    that holds no log (`is_joining`), the other members know them. `peer_urls` are this member's.
    A front serves the client URLs that are `http://` or `https://`, and all metrics URLs; `cors`
    are the origins whose browsers may ask it, and `tls` says how it speaks TLS, if it does.
    One of `retained_revisions` and `retained_period_ms` may be above 0: then older history is
    compacted. `quota_backend_bytes` 0 means no quota, `corrupt_check_ms` 0 no check.
    The pairs that members begin with come from `bootstrap_file`. With `has_client_keys` a client
    has to have a key; `is_insecure`: whoever reaches the ports is let in, wherever they are.
    `changed_flags` are the flags that differ from their defaults, as they would be typed.
    """

    name: str
    member_id: int
    cluster_id: int
    data_dir: Path
    listen_client_urls: tuple[str, ...]
    listen_metrics_urls: tuple[str, ...]
    advertise_client_urls: tuple[str, ...]
    listen_peer_urls: tuple[str, ...]
    peer_urls: tuple[str, ...]
    members: tuple[InitialMember, ...]
    token: str
    bootstrap_file: Path | None
    has_client_keys: bool
    is_insecure: bool
    is_joining: bool
    heartbeat_interval_ms: int
    election_timeout_ms: int
    max_request_bytes: int
    max_txn_ops: int
    min_lease_ttl_ms: int
    snapshot_catchup_entries: int
    retained_revisions: int
    retained_period_ms: int
    quota_backend_bytes: int
    corrupt_check_ms: int
    watch_progress_ms: int
    cors: tuple[str, ...]
    tls: ServerTls | None
    token_ttl_seconds: int
    password_cost_log2: int
    audit: AuditConfig | None
    log_level: str
    log_format: str
    changed_flags: tuple[str, ...]

    @property
    def peers(self) -> tuple[InitialMember, ...]:
        """The other members."""
        return tuple(member for member in self.members if member.name != self.name)

    @property
    def own_member(self) -> InitialMember:
        """This member."""
        return next(member for member in self.members if member.name == self.name)

    @property
    def have_members_keys(self) -> bool:
        """Whether the flags give the members keys: all of them, but perhaps for one that joins."""
        return any(member.key for member in self.members)

    @property
    def key_path(self) -> Path:
        """Where this member keeps its keys."""
        return self.data_dir / MEMBER_FILE

    @property
    def front_urls(self) -> tuple[str, ...]:
        """The client URLs that the front serves."""
        return tuple(url for url in self.listen_client_urls if url.startswith(OF_FRONTS))

    @property
    def zeromq_urls(self) -> tuple[str, ...]:
        """The client URLs where the node itself listens, for ZeroMQ's clients alone."""
        return tuple(url for url in self.listen_client_urls if url.startswith(TCP))

    @property
    def uses_ipv6(self) -> bool:
        """Whether any address is an IPv6 literal, for which ZeroMQ sockets need the IPV6 option."""
        urls = [url for member in self.members for url in member.peer_urls]
        return any("[" in url for url in (*urls, *self.listen_client_urls, *self.listen_peer_urls))


def resolve(flags: NodeFlags) -> NodeConfig:
    """Check the flags, apply etcd's defaults and compute the ids. Raises ConfigError."""
    _check(flags)
    advertised_peer_urls = advertised_urls(
        "initial-advertise-peer-urls", flags.initial_advertise_peer_urls
    )
    bootstrap = Path(flags.initial_cluster_key_file) if flags.initial_cluster_key_file else None
    members = _members(flags, advertised_peer_urls, bootstrap)
    own = _own_member(flags.name, members, advertised_peer_urls)
    cluster_id = cluster_id_of([member.id for member in members])
    is_existing = _is_existing(flags.initial_cluster_state)
    if is_existing:
        members = tuple(member._replace(id=0) for member in members)
    heartbeat_ms, election_ms = timing(flags.heartbeat_interval, flags.election_timeout)
    retained = retention(flags.auto_compaction_mode, flags.auto_compaction_retention)
    data_dir = Path(flags.data_dir or f"{flags.name}.leasehold")
    client_urls, peer_urls, metrics_urls = _listened(flags)
    have_keys = any(member.key for member in members) or (data_dir / MEMBER_FILE).exists()
    has_client_keys, is_insecure = _exposure(flags, client_urls, peer_urls, have_keys)
    advertised_client_urls = _advertised_client_urls(flags)
    return NodeConfig(
        name=flags.name,
        member_id=0 if is_existing else own.id,
        cluster_id=0 if is_existing else cluster_id,
        data_dir=data_dir,
        listen_client_urls=client_urls,
        listen_metrics_urls=metrics_urls,
        advertise_client_urls=advertised_client_urls,
        listen_peer_urls=peer_urls,
        peer_urls=own.peer_urls,
        members=members,
        token=flags.initial_cluster_token,
        bootstrap_file=bootstrap,
        has_client_keys=has_client_keys,
        is_insecure=is_insecure,
        is_joining=is_existing and _must_join(data_dir, members),
        heartbeat_interval_ms=heartbeat_ms,
        election_timeout_ms=election_ms,
        max_request_bytes=max_request_bytes(flags.max_request_bytes),
        max_txn_ops=at_least(1, "max-txn-ops", flags.max_txn_ops),
        min_lease_ttl_ms=min_lease_ttl_ms(flags.min_lease_ttl, election_ms),
        snapshot_catchup_entries=at_least(
            0, "snapshot-catchup-entries", flags.snapshot_catchup_entries
        ),
        retained_revisions=retained[0],
        retained_period_ms=retained[1],
        quota_backend_bytes=quota(flags.quota_backend_bytes),
        corrupt_check_ms=duration_ms("corrupt-check-time", flags.corrupt_check_time),
        watch_progress_ms=_watch_progress_ms(flags),
        cors=tuple(split(flags.cors)),
        tls=server_tls(
            _tls_flags(flags), (*client_urls, *metrics_urls), advertised_client_urls, data_dir
        ),
        token_ttl_seconds=at_least(1, "auth-token-ttl", flags.auth_token_ttl),
        password_cost_log2=_password_cost_log2(flags),
        audit=audit_config(_audit_flags(flags), _audit_flags(NodeFlags())),
        log_level=flags.log_level,
        log_format=flags.log_format,
        changed_flags=_changed(flags),
    )


def _watch_progress_ms(flags: NodeFlags) -> int:
    text = flags.watch_progress_notify_interval
    return duration_ms("watch-progress-notify-interval", text, lowest_ms=100)


def _password_cost_log2(flags: NodeFlags) -> int:
    return between(4, 14, "bcrypt-cost", flags.bcrypt_cost) + SCRYPT_OVER_BCRYPT


def _listened(flags: NodeFlags) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Where to listen: for clients, for the other members, and for whoever reads metrics."""
    listened = {
        "listen-client-urls": listen_urls(
            "listen-client-urls", flags.listen_client_urls or CLIENT_DEFAULT, tls=True
        ),
        "listen-peer-urls": listen_urls("listen-peer-urls", flags.listen_peer_urls),
        "listen-metrics-urls": _metrics_urls(flags.listen_metrics_urls),
    }
    refuse_overlap({flag: _one_of_each_port(urls) for flag, urls in listened.items()})
    client_urls, peer_urls, metrics_urls = listened.values()
    return client_urls, peer_urls, metrics_urls


def _advertised_client_urls(flags: NodeFlags) -> tuple[str, ...]:
    text = flags.advertise_client_urls or CLIENT_DEFAULT
    return advertised_urls("advertise-client-urls", text, tls=True)


def _tls_flags(flags: NodeFlags) -> TlsFlags:
    return TlsFlags(*(getattr(flags, name) for name in TlsFlags._fields))


def _audit_flags(flags: NodeFlags) -> AuditFlags:
    return AuditFlags(*(getattr(flags, name) for name in AuditFlags._fields))


def _one_of_each_port(urls: tuple[str, ...]) -> tuple[str, ...]:
    """URLs without those that differ from another one only as http and https: a front serves both
    on one port."""
    return tuple({url.replace(HTTPS, HTTP, 1): url for url in urls}.values())


def _exposure(
    flags: NodeFlags, client_urls: tuple[str, ...], peer_urls: tuple[str, ...], have_keys: bool
) -> tuple[bool, bool]:
    """Whether clients need keys, and whether ports may be open to all; ConfigError if one is."""
    has_client_keys = is_on("client-keys", flags.client_keys)
    is_insecure = is_on("insecure", flags.insecure)
    if not is_insecure:
        refuse_open_peers(peer_urls, have_keys)
        refuse_open_clients(client_urls, has_client_keys)
    return has_client_keys, is_insecure


def _changed(flags: NodeFlags) -> tuple[str, ...]:
    """The flags that differ from their defaults."""
    defaults = NodeFlags()._asdict()
    changed = [(name, text) for name, text in flags._asdict().items() if text != defaults[name]]
    return tuple(f"--{name.replace('_', '-')}={text}" for name, text in changed)


def _check(flags: NodeFlags) -> None:
    if not flags.name or re.search(r"[=,\s/]", flags.name):
        raise invalid("name", flags.name, "a name has no space, comma, slash or equals sign")
    if flags.listen_client_urls and not flags.advertise_client_urls:
        raise ConfigError(
            "--advertise-client-urls is required when --listen-client-urls is set explicitly"
        )
    if flags.log_level not in LOG_LEVELS:
        raise invalid("log-level", flags.log_level, f"one of {', '.join(LOG_LEVELS)}")
    if flags.log_format not in LOG_FORMATS:
        raise invalid("log-format", flags.log_format, f"one of {', '.join(LOG_FORMATS)}")


def _metrics_urls(text: str) -> tuple[str, ...]:
    """Where `/metrics` and the probes are served apart from all else; often nowhere."""
    urls = listen_urls("listen-metrics-urls", text, tls=True) if text else ()
    for url in urls:
        if not url.startswith(OF_FRONTS):
            raise invalid("listen-metrics-urls", url, "http:// or https:// is expected")
    return urls


# --- identity ---------------------------------------------------------------------------------


def _members(
    flags: NodeFlags, advertised: tuple[str, ...], bootstrap: Path | None
) -> tuple[InitialMember, ...]:
    """The members with which the cluster begins, or which the one to join has."""
    alone = ",".join(f"{flags.name}={url}" for url in advertised)
    members = initial_members(flags.initial_cluster or alone, flags.initial_cluster_token)
    return keyed_members(members, bootstrap, flags.name, flags.initial_cluster_state)


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
    advertised_places, own_places = places(advertised), places(own.peer_urls)
    for url in own.peer_urls:
        if zeromq_url(url) not in advertised_places:
            raise ConfigError(
                f"--initial-cluster has {name}={url} but missing from"
                f" --initial-advertise-peer-urls={','.join(advertised)}"
            )
    for url in advertised:
        if zeromq_url(url) not in own_places:
            raise ConfigError(
                f"--initial-advertise-peer-urls has {url} but missing from"
                f" --initial-cluster={','.join(f'{name}={other}' for other in own.peer_urls)}"
            )
    return own


def _is_existing(state: str) -> bool:
    if state not in {"new", "existing"}:
        raise invalid("initial-cluster-state", state, "new or existing")
    return state == "existing"


def _must_join(data_dir: Path, members: tuple[InitialMember, ...]) -> bool:
    """Whether a member of an existing cluster has no data yet. Raises ConfigError."""
    if _has_log(data_dir):
        return False
    if len(members) == 1:
        raise ConfigError(
            "--initial-cluster-state=existing: --initial-cluster names no other member to join"
        )
    return True


def _has_log(data_dir: Path) -> bool:
    """Whether the data directory holds the log of a member."""
    directory = data_dir / "wal"
    return directory.is_dir() and any(path.suffix == ".wal" for path in directory.iterdir())
