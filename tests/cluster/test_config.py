"""A node's flags: etcd's ids, defaults and checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.gateway.audit_table import Level
from cluster.addresses import AddressError, member_urls
from cluster.audit_flags import AUDIT_LEVELS, AuditConfig
from cluster.config import (
    NodeFlags,
    resolve,
)
from cluster.flag_values import ConfigError, advertised_urls, listen_urls
from cluster.identity import cluster_id_of, initial_members, member_id_of
from cluster.schemes import etcd_url, places, zeromq_url

THREE = "n1=tcp://10.0.0.1:2380,n2=tcp://10.0.0.2:2380,n3=tcp://10.0.0.3:2380"


def node(**flags: str) -> NodeFlags:
    """The flags of n1 of three hosts, changed as told."""
    given = {
        "name": "n1",
        "initial_cluster": THREE,
        "initial_advertise_peer_urls": "tcp://10.0.0.1:2380",
    }
    return NodeFlags(**{**given, **flags})


def test_ids_are_those_that_etcd_computes() -> None:
    member = member_id_of(("http://localhost:2380",), "etcd-cluster")
    assert f"{member:x}" == "8e9e05c52164694d"
    assert f"{cluster_id_of([member]):x}" == "cdf818194e3a8c32"


def test_a_node_without_flags_is_etcds_default_cluster_of_one() -> None:
    config = resolve(NodeFlags())
    assert config.name == "default"
    assert config.data_dir == Path("default.leasehold")
    assert f"{config.member_id:x}" == "8e9e05c52164694d"
    assert f"{config.cluster_id:x}" == "cdf818194e3a8c32"
    assert config.listen_client_urls == config.front_urls == ("http://127.0.0.1:2379",)
    assert config.advertise_client_urls == ("http://localhost:2379",)
    assert config.listen_peer_urls == ("tcp://127.0.0.1:2380",)
    assert [member.name for member in config.members] == ["default"]
    assert (config.heartbeat_interval_ms, config.election_timeout_ms) == (50, 300)
    assert config.max_request_bytes == 1_572_864


def test_a_name_alone_makes_a_cluster_of_that_name() -> None:
    config = resolve(NodeFlags(name="solo"))
    assert [member.name for member in config.members] == ["solo"]
    assert config.data_dir == Path("solo.leasehold")


def test_every_member_computes_the_same_members_and_cluster_id() -> None:
    configs = [
        resolve(node(name=f"n{i}", initial_advertise_peer_urls=f"http://10.0.0.{i}:2380"))
        for i in (1, 2, 3)
    ]
    assert len({config.cluster_id for config in configs}) == 1
    assert len({config.members for config in configs}) == 1
    assert len({config.member_id for config in configs}) == 3
    assert [peer.name for peer in sorted(configs[0].peers, key=lambda peer: peer.name)] == [
        "n2",
        "n3",
    ]


def test_another_token_makes_another_cluster() -> None:
    one, other = resolve(node()), resolve(node(initial_cluster_token="blue"))
    assert one.cluster_id != other.cluster_id
    assert one.member_id != other.member_id


def test_a_repeated_name_is_a_member_with_several_urls() -> None:
    (member,) = initial_members("a=http://h2:1,a=tcp://h1:1", "token")
    assert member.peer_urls == ("tcp://h1:1", "http://h2:1")
    assert member.id == member_id_of(("http://h1:1", "http://h2:1"), "token")


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        ("tcp://localhost:1", "tcp://127.0.0.1:1"),
        ("http://0.0.0.0:65535", "http://0.0.0.0:65535"),
        ("tcp://*:2379", "tcp://0.0.0.0:2379"),
        ("tcp://[::1]:2379", "tcp://[::1]:2379"),
    ],
)
def test_listen_urls_name_what_to_bind_and_keep_their_scheme(given: str, bound: str) -> None:
    assert listen_urls("listen-client-urls", given) == (bound,)


def test_several_urls_are_separated_by_commas() -> None:
    urls = advertised_urls("advertise-client-urls", "tcp://a:1, http://[fe80::1]:2,tcp://b-c.d:3")
    assert urls == ("tcp://a:1", "http://[fe80::1]:2", "tcp://b-c.d:3")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://a:1", "TLS is for clients alone"),
        ("unix://a:1", "a unix socket is not supported"),
        ("ftp://a:1", "URL scheme must be tcp or http"),
        ("a:1", "URL scheme must be tcp or http"),
        ("tcp://a", 'does not have the form "host:port"'),
        ("tcp://a:b", 'does not have the form "host:port"'),
        ("tcp://::1:2379", 'does not have the form "host:port"'),
        ("tcp://a:1/path", "must not contain a path"),
        ("tcp://a:0", "between 1 and 65535"),
        ("tcp://a:65536", "between 1 and 65535"),
        ("tcp://1.2.3.4.5:1", "not a host name or IP address"),
        ("tcp://[::g]:1", "not a host name or IP address"),
        ("tcp://a b:1", "not a host name or IP address"),
        ("tcp://0.0.0.0:1", "nobody can connect to 0.0.0.0"),
        ("", "names no URL"),
    ],
)
def test_a_wrong_url_is_named_with_its_flag(url: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        advertised_urls("advertise-client-urls", url)
    message = str(caught.value)
    assert reason in message
    assert message.startswith(f'invalid value "{url}" for flag --advertise-client-urls')
    assert "\n" not in message


def test_a_host_name_cannot_be_listened_on() -> None:
    with pytest.raises(ConfigError, match=r"expected IP in URL for binding \(tcp://host:1\)"):
        listen_urls("listen-peer-urls", "tcp://host:1")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            {"heartbeat_interval": "100"},
            "--election-timeout[300ms] should be at least as 5 times as"
            " --heartbeat-interval[100ms]",
        ),
        (
            {"election_timeout": "50001"},
            "--election-timeout[50001ms] is too long, and should be set less than 50000ms",
        ),
        ({"heartbeat_interval": "0"}, "--heartbeat-interval must be >0 (set to 0ms)"),
        (
            {"heartbeat_interval": "5s"},
            'invalid value "5s" for flag --heartbeat-interval: expected an integer',
        ),
        (
            {"listen_client_urls": "tcp://127.0.0.1:1"},
            "--advertise-client-urls is required when --listen-client-urls is set explicitly",
        ),
        (
            {"name": "n4"},
            'couldn\'t find local name "n4" in the initial cluster configuration'
            " (--name=n4, --initial-cluster has n1, n2, n3)",
        ),
        (
            {"initial_advertise_peer_urls": "tcp://10.0.0.9:2380"},
            "--initial-cluster has n1=tcp://10.0.0.1:2380 but missing from"
            " --initial-advertise-peer-urls=tcp://10.0.0.9:2380",
        ),
        (
            {"initial_advertise_peer_urls": "tcp://10.0.0.1:2380,tcp://10.0.0.9:2380"},
            "--initial-advertise-peer-urls has tcp://10.0.0.9:2380 but missing from"
            " --initial-cluster=n1=tcp://10.0.0.1:2380",
        ),
        (
            {"initial_cluster": "n1"},
            'invalid value "n1" for flag --initial-cluster: expected NAME=URL',
        ),
        (
            {"initial_cluster": "n1=tcp://h:1,n2=http://h:1"},
            "--initial-cluster: initial cluster n1=tcp://h:1,n2=http://h:1 has duplicate url",
        ),
        (
            {"initial_cluster_state": "old"},
            'invalid value "old" for flag --initial-cluster-state: new or existing',
        ),
        (
            {"max_request_bytes": "0"},
            'invalid value "0" for flag --max-request-bytes: between 1 and 8388608',
        ),
        (
            {"min_lease_ttl": "0"},
            'invalid value "0" for flag --min-lease-ttl: between 0.001 and 9000000000 seconds',
        ),
        (
            {"auto_compaction_mode": "x"},
            'unknown auto-compaction-mode "x"',
        ),
        (
            {"auto_compaction_retention": "abc"},
            'invalid value "abc" for flag --auto-compaction-retention:'
            ' time: invalid duration "abc"',
        ),
        (
            {"auto_compaction_retention": "1.5"},
            'invalid value "1.5" for flag --auto-compaction-retention:'
            ' time: missing unit in duration "1.5"',
        ),
        (
            {"auto_compaction_retention": "-1h"},
            'invalid value "-1h" for flag --auto-compaction-retention: at least 0',
        ),
        (
            {"auto_compaction_mode": "revision", "auto_compaction_retention": "1h"},
            'invalid value "1h" for flag --auto-compaction-retention: expected an integer',
        ),
        (
            {"log_level": "loud"},
            'invalid value "loud" for flag --log-level: one of debug, info, warn, error',
        ),
        (
            {"log_format": "xml"},
            'invalid value "xml" for flag --log-format: one of text, json',
        ),
        (
            {"audit_log": "a.log", "audit_log_level": "reads"},
            'invalid value "reads" for flag --audit-log-level: one of auth, writes, all',
        ),
        (
            {"audit_log": "a.log", "audit_log_maxsize": "0"},
            'invalid value "0" for flag --audit-log-maxsize: from 1 to 100000',
        ),
        (
            {"audit_log": "a.log", "audit_log_maxbackup": "-1"},
            'invalid value "-1" for flag --audit-log-maxbackup: from 1 to 1000',
        ),
        (
            {"audit_log_level": "all"},
            "--audit-log-level=all has no meaning without --audit-log",
        ),
        (
            {"name": "a=b"},
            'invalid value "a=b" for flag --name: a name has no space, comma, slash or equals sign',
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(flags: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(node(**flags))
    assert str(caught.value) == message


def test_there_is_an_audit_log_only_if_a_file_is_named() -> None:
    assert resolve(node()).audit is None
    flags = {"audit_log_level": "writes", "audit_log_maxsize": "2", "audit_log_maxbackup": "3"}
    audit = resolve(node(audit_log="of-{name}.log", **flags)).audit
    assert audit == AuditConfig(Path("of-n1.log"), "writes", 2 << 20, 3)
    assert [level.name.lower() for level in Level][: len(AUDIT_LEVELS)] == list(AUDIT_LEVELS)


@pytest.mark.parametrize(
    ("text", "election_timeout", "ttl_ms"),
    [("", "300", 1_000), ("", "1000", 2_000), ("0.25", "300", 250), ("5", "300", 5_000)],
)
def test_the_smallest_lease_ttl_is_etcds_unless_told(
    text: str, election_timeout: str, ttl_ms: int
) -> None:
    config = resolve(node(min_lease_ttl=text, election_timeout=election_timeout))
    assert config.min_lease_ttl_ms == ttl_ms


@pytest.mark.parametrize(
    ("mode", "retention", "kept"),
    [
        ("periodic", "0", (0, 0)),
        ("periodic", "2", (0, 7_200_000)),
        ("periodic", "1m30s", (0, 90_000)),
        ("periodic", "500ms", (0, 500)),
        ("revision", "0", (0, 0)),
        ("revision", "1000", (1_000, 0)),
    ],
)
def test_history_is_kept_for_hours_or_a_duration_or_so_many_revisions(
    mode: str, retention: str, kept: tuple[int, int]
) -> None:
    flags = node(auto_compaction_mode=mode, auto_compaction_retention=retention)
    config = resolve(flags)
    assert (config.retained_revisions, config.retained_period_ms) == kept


def test_history_is_kept_for_ever_unless_told() -> None:
    config = resolve(node())
    assert (config.retained_revisions, config.retained_period_ms) == (0, 0)


def test_not_a_number_is_no_lease_ttl() -> None:
    with pytest.raises(ConfigError, match="between"):
        resolve(node(min_lease_ttl="nan"))


def test_a_member_that_joins_knows_no_ids_and_whom_to_ask(tmp_path: Path) -> None:
    config = resolve(node(initial_cluster_state="existing", data_dir=str(tmp_path)))
    assert config.is_joining
    assert (config.member_id, config.cluster_id) == (0, 0)
    assert config.peer_urls == ("tcp://10.0.0.1:2380",)
    assert [(peer.id, peer.name) for peer in config.peers] == [(0, "n2"), (0, "n3")]
    assert all(peer.peer_urls for peer in config.peers)
    assert config.token == "etcd-cluster"


def test_a_member_that_has_joined_starts_from_its_own_data(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()  # left by a first start that failed
    flags = node(initial_cluster_state="existing", data_dir=str(tmp_path))
    assert resolve(flags).is_joining
    (tmp_path / "wal").mkdir()
    assert resolve(flags).is_joining
    (tmp_path / "wal" / "0.wal").touch()
    joined = resolve(flags)
    assert (joined.is_joining, joined.member_id) == (False, 0)
    assert not resolve(flags._replace(initial_cluster_state="new")).is_joining


def test_a_member_that_joins_is_in_the_initial_cluster_and_not_alone(tmp_path: Path) -> None:
    flags = node(initial_cluster_state="existing", data_dir=str(tmp_path))
    with pytest.raises(ConfigError, match="couldn't find local name"):
        resolve(flags._replace(name="n4"))
    with pytest.raises(ConfigError, match="names no other member to join"):
        resolve(flags._replace(initial_cluster="n1=tcp://10.0.0.1:2380"))


def test_snapshots_have_etcds_flags() -> None:
    config = resolve(node())
    assert config.snapshot_catchup_entries == 5_000
    config = resolve(node(snapshot_catchup_entries="0"))
    assert config.snapshot_catchup_entries == 0
    with pytest.raises(ConfigError, match='"-1" for flag --snapshot-catchup-entries: at least 0'):
        resolve(node(snapshot_catchup_entries="-1"))


def test_a_url_that_differs_only_in_scheme_is_the_same_place() -> None:
    flags = node(initial_advertise_peer_urls="http://10.0.0.1:2380")
    assert resolve(flags).peer_urls == ("tcp://10.0.0.1:2380",)
    assert resolve(flags).member_id == resolve(node()).member_id
    assert places(["tcp://h:1", "http://h:1"]) == places(["http://h:1"])


def test_what_zeromq_connects_to_is_tcp_and_what_etcd_hashes_is_http() -> None:
    assert [zeromq_url(url) for url in ("http://h:1", "tcp://h:1")] == ["tcp://h:1"] * 2
    assert [etcd_url(url) for url in ("http://h:1", "tcp://h:1")] == ["http://h:1"] * 2


@pytest.mark.parametrize(
    ("texts", "urls"),
    [
        (["http://h:2", "tcp://h:1", "tcp://h:2"], ("tcp://h:1", "http://h:2")),
        (["tcp://[::1]:2380"], ("tcp://[::1]:2380",)),
    ],
)
def test_a_members_urls_are_sorted_and_name_each_place_once(
    texts: list[str], urls: tuple[str, ...]
) -> None:
    assert member_urls(texts) == urls


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "no valid URLs given: []"),
        (["foo"], "URL scheme must be tcp or http: foo"),
        (["tcp://h:1", "ftp://h:1"], "URL scheme must be tcp or http: ftp://h:1"),
        (["tcp://h:1/x"], "URL must not contain a path: tcp://h:1/x"),
        (["tcp://h"], 'URL address does not have the form "host:port": tcp://h'),
        ([f"tcp://{'h' * 300}:1"], f"{'h' * 255} is not a host name or IP address: tcp://"),
        ([f"tcp://h:{port}" for port in range(1, 10)], "a member has at most 8 URLs"),
    ],
)
def test_a_members_bad_url_is_named(texts: list[str], message: str) -> None:
    with pytest.raises(AddressError) as caught:
        member_urls(texts)
    assert str(caught.value).startswith(message)


def test_an_ipv6_address_anywhere_asks_for_ipv6_sockets() -> None:
    assert not resolve(node()).uses_ipv6
    assert resolve(node(listen_peer_urls="tcp://[::1]:2380")).uses_ipv6


@pytest.mark.parametrize(
    ("text", "quota"),
    [("0", 2 * 1024**3), ("8388608", 8_388_608), ("-1", 0)],
)
def test_a_quota_is_etcds_and_a_negative_one_is_none(text: str, quota: int) -> None:
    assert resolve(node(quota_backend_bytes=text)).quota_backend_bytes == quota


def test_members_are_compared_unless_the_time_between_is_zero() -> None:
    assert resolve(node()).corrupt_check_ms == 10_000
    assert resolve(node(corrupt_check_time="0s")).corrupt_check_ms == 0
    with pytest.raises(ConfigError, match="corrupt-check-time"):
        resolve(node(corrupt_check_time="often"))


def test_watches_and_transactions_have_etcds_limits_unless_told_otherwise() -> None:
    config = resolve(node())
    assert (config.max_txn_ops, config.watch_progress_ms) == (128, 600_000)
    chosen = resolve(node(max_txn_ops="9", watch_progress_notify_interval="100ms"))
    assert (chosen.max_txn_ops, chosen.watch_progress_ms) == (9, 100)
    for flag, value in (("max_txn_ops", "0"), ("watch_progress_notify_interval", "99ms")):
        with pytest.raises(ConfigError, match="at least"):
            resolve(node(**{flag: value}))


def listening(client_urls: str, peer_urls: str) -> NodeFlags:
    """The flags of a node that listens there."""
    return node(
        listen_client_urls=client_urls,
        advertise_client_urls="tcp://10.0.0.1:2379",
        listen_peer_urls=peer_urls,
        insecure="true",
    )


@pytest.mark.parametrize(
    ("client_urls", "peer_urls"),
    [
        ("tcp://10.0.0.1:2380", "tcp://10.0.0.1:2380"),
        ("http://localhost:2380", "tcp://127.0.0.1:2380"),
        ("tcp://10.0.0.1:2379,tcp://10.0.0.1:2380", "tcp://10.0.0.1:2380"),
        ("tcp://*:2380", "tcp://10.0.0.1:2380"),
        ("tcp://10.0.0.1:2380", "tcp://0.0.0.0:2380"),
        ("tcp://[::]:2380", "tcp://10.0.0.1:2380"),
        ("tcp://[::1]:2380", "tcp://[0:0:0:0:0:0:0:1]:2380"),
        ("tcp://*:2379,tcp://127.0.0.1:2379", "tcp://10.0.0.1:2380"),
    ],
)
def test_a_port_that_would_be_taken_twice_is_refused_in_one_line(
    client_urls: str, peer_urls: str
) -> None:
    flags = listening(client_urls, peer_urls)
    with pytest.raises(ConfigError, match="listens already: give each its own port") as refused:
        resolve(flags)
    assert "\n" not in str(refused.value)
    assert f"--listen-client-urls with {client_urls[:4]}" in str(refused.value)


@pytest.mark.parametrize(
    ("client_urls", "peer_urls"),
    [
        ("tcp://127.0.0.1:2380", "tcp://10.0.0.1:2380"),
        ("tcp://[::1]:2380", "tcp://127.0.0.1:2380"),
        ("tcp://[::1]:2380", "tcp://*:2380"),
        ("tcp://*:2379", "tcp://*:2380"),
    ],
)
def test_the_same_port_of_another_address_is_free(client_urls: str, peer_urls: str) -> None:
    resolve(listening(client_urls, peer_urls))
