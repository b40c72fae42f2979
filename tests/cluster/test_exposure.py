"""Flags of keys, and ports that other machines reach: who must say what."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.config import NodeConfig, NodeFlags, resolve
from cluster.curve import derived_pair
from cluster.flag_values import ConfigError
from cluster.key_files import read_bootstrap, write_bootstrap
from tests.cluster.test_config import THREE, node

KEY = "a1" * 32
OTHER = "b2" * 32


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """The file of a bootstrap secret."""
    path = tmp_path / "secret"
    write_bootstrap(path)
    return str(path)


def keys_of(config: NodeConfig) -> dict[str, str]:
    return {member.name: member.key for member in config.members}


def keyed(**keys: str) -> str:
    """The three members, with these keys."""
    parts = [part.partition("=") for part in THREE.split(",")]
    return ",".join(f"{n}={url}#{keys[n]}" if n in keys else f"{n}={url}" for n, _, url in parts)


def test_keys_are_named_with_the_urls_and_change_no_id() -> None:
    keys = {"n1": KEY.upper(), "n2": OTHER, "n3": "c3" * 32}
    config = resolve(node(initial_cluster=keyed(**keys)))
    assert keys_of(config) == {name: each.lower() for name, each in keys.items()}
    assert config.have_members_keys
    plain = resolve(node())
    assert keys_of(plain) == {"n1": "", "n2": "", "n3": ""}
    assert [each.id for each in plain.members] == [each.id for each in config.members]


def test_keys_come_from_a_shared_secret_unless_they_are_named(secret: str) -> None:
    flags = node(initial_cluster=keyed(n2=KEY), initial_cluster_key_file=secret)
    shared = read_bootstrap(Path(secret))
    expected = {name: derived_pair(shared, name).public for name in ("n1", "n3")}
    assert keys_of(resolve(flags)) == {**expected, "n2": KEY}


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"initial_cluster": keyed(n1=KEY)}, "names no key of n2, n3: name one of every member"),
        ({"initial_cluster": keyed(n1="ab")}, "a key has 64 hexadecimal digits"),
        (
            {"initial_cluster": f"{keyed(n1=KEY)},n1=tcp://10.0.0.9:1#{OTHER}"},
            "--initial-cluster has two keys of n1",
        ),
        ({"initial_cluster_key_file": "/nonexistent"}, "--initial-cluster-key-file: .*No such"),
        ({"insecure": "perhaps"}, "--insecure"),
        ({"client_keys": ""}, "--client-keys"),
    ],
)
def test_wrong_flags_of_keys_are_refused_in_a_line(flags: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as refused:
        resolve(node(**flags))
    assert "\n" not in str(refused.value)


def test_a_member_that_joins_need_not_name_its_own_key(tmp_path: Path) -> None:
    flags = {"initial_cluster_state": "existing", "data_dir": str(tmp_path)}
    others = {"n2": KEY, "n3": OTHER}
    assert resolve(node(initial_cluster=keyed(**others), **flags)).own_member.key == ""
    with pytest.raises(ConfigError, match="names no key of n3"):
        resolve(node(initial_cluster=keyed(n2=KEY), **flags))


OPEN = ("tcp://0.0.0.0:1", "tcp://10.0.0.1:1", "tcp://[::]:1", "http://*:1")


@pytest.mark.parametrize("url", OPEN)
def test_a_port_for_members_is_open_to_other_machines_only_with_keys(url: str, secret: str) -> None:
    with pytest.raises(ConfigError, match=r"leasehold key bootstrap.*or say --insecure"):
        resolve(NodeFlags(listen_peer_urls=url))
    resolve(NodeFlags(listen_peer_urls=url, insecure="true"))
    resolve(NodeFlags(listen_peer_urls=url, initial_cluster_key_file=secret))


def test_a_member_that_has_its_keys_needs_no_flag_for_them(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "member.key"
    path.parent.mkdir()
    path.touch()
    resolve(NodeFlags(listen_peer_urls=OPEN[0], data_dir=str(tmp_path)))


@pytest.mark.parametrize("url", OPEN)
def test_a_port_for_clients_is_open_to_other_machines_only_with_keys(url: str) -> None:
    reached = "tcp://10.0.0.1:1"
    flags = NodeFlags(listen_client_urls=url, advertise_client_urls=reached)
    with pytest.raises(ConfigError, match=r"--client-keys.*; or say --insecure"):
        resolve(flags)
    resolve(flags._replace(insecure="true"))
    with_keys = flags._replace(client_keys="true")
    if url.startswith("tcp://"):
        assert resolve(with_keys).has_client_keys
    else:
        with pytest.raises(ConfigError, match=r"Use https://, or tcp:// with --client-keys"):
            resolve(with_keys)


@pytest.mark.parametrize("url", ["tcp://localhost:1", "tcp://127.0.0.9:1", "http://[::1]:1"])
def test_on_this_machine_alone_nobody_needs_keys(url: str) -> None:
    flags = NodeFlags(listen_client_urls=url, advertise_client_urls="tcp://localhost:1")
    assert not resolve(flags._replace(listen_peer_urls="tcp://localhost:2")).have_members_keys
