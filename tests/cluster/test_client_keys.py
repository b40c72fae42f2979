"""The keys of clients and nodes as people give them: endpoints, files, flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster import Client
from cluster.cli import main
from cluster.client.engine.endpoints import parse
from cluster.client.identity import CLUSTER_FILE_VARIABLE, KEY_FILE_VARIABLE, cluster_file
from cluster.curve import HeldKeys, new_pair
from cluster.key_files import CLIENT, MEMBER, read, write

KEY, OTHER = "a1" * 32, "b2" * 32


def test_an_endpoint_names_the_key_of_its_node() -> None:
    written = f"127.0.0.1:1#{KEY.upper()},http://h:2#{OTHER},[::1]:3"
    assert list(parse(written).values()) == [
        f"tcp://127.0.0.1:1#{KEY}",
        f"tcp://h:2#{OTHER}",
        "tcp://[::1]:3",
    ]


@pytest.mark.parametrize(
    ("endpoint", "complaint"),
    [
        ("127.0.0.1:1#", "a key has 64 hexadecimal digits"),
        (f"127.0.0.1:1#{KEY}0", "a key has 64 hexadecimal digits"),
        (f"127.0.0.1#{KEY}", "is not host:port"),
        (f"https://127.0.0.1:1#{KEY}", "a node has a certificate there, and no key"),
    ],
)
def test_a_wrong_key_of_an_endpoint_is_named(endpoint: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(endpoint)


def test_a_cluster_file_has_endpoints_with_keys_and_is_used_where_they_are_missing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "cluster"
    path.write_text(f"# ours\n\n 127.0.0.1:1#{KEY} \n127.0.0.1:2#{OTHER}\n", "utf-8")
    known = cluster_file({CLUSTER_FILE_VARIABLE: str(path)})
    assert known == [f"127.0.0.1:1#{KEY}", f"127.0.0.1:2#{OTHER}"]
    assert list(parse(None, {}, known=known)) == known
    assert parse("http://127.0.0.1:2,127.0.0.1:3", {}, known=known) == {
        "http://127.0.0.1:2": f"tcp://127.0.0.1:2#{OTHER}",
        "127.0.0.1:3": "tcp://127.0.0.1:3",
    }
    assert parse(f"127.0.0.1:1#{OTHER}", {}, known=known) == {
        f"127.0.0.1:1#{OTHER}": f"tcp://127.0.0.1:1#{OTHER}"
    }


def test_a_cluster_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert cluster_file({}) == []
    with pytest.raises(ValueError, match=f"{CLUSTER_FILE_VARIABLE}=/none: "):
        cluster_file({CLUSTER_FILE_VARIABLE: "/none"})


def test_a_key_file_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = f"127.0.0.1:1#{KEY}"
    with pytest.raises(ValueError, match="the key file /none: No such file or directory"):
        Client(pinned, key_file="/none")
    member = tmp_path / "member.key"
    write(member, MEMBER, HeldKeys(new_pair()))
    with pytest.raises(ValueError, match="holds no key of a client"):
        Client(pinned, key_file=member)
    own = tmp_path / "client.key"
    write(own, CLIENT, HeldKeys(new_pair()))
    with pytest.raises(ValueError, match="no endpoint names the key of its node"):
        Client("127.0.0.1:1", key_file=own)
    own.chmod(0o644)
    with pytest.raises(ValueError, match="others may read or change this key"):
        Client(pinned, key_file=own)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(own))
    with pytest.raises(ValueError, match="others may read or change this key"):
        Client(pinned)
    Client("127.0.0.1:1").close()  # nobody there asks for it


def leasectl(*arguments: str) -> int:
    """Run a command in this process; its exit status."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_leasectl_makes_a_key_once_and_prints_only_its_public_half(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    directory = tmp_path / "mine"
    assert leasectl("keys", "init", "--dir", str(directory)) == 0
    first = capfdbinary.readouterr()
    path = directory / "client.key"
    held = read(path, CLIENT)
    assert first.out == f"{held.pair.public}\n".encode()
    assert str(path).encode() in first.err
    assert held.pair.secret.encode() not in first.out + first.err
    assert leasectl("keys", "init", "--dir", str(directory)) == 0
    assert capfdbinary.readouterr().out == first.out
