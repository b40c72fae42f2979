"""The keys of a member when its node starts, and the command that shows and makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.__main__ import main
from actors.language.errors import StorageError
from actors.member_keys import MemberKeys, find_keys, have_keys, with_own_key
from actors.offline.recovery import founder
from actors.raft.disk.wal import Wal
from actors.raft.disk.wal_reader import Identity
from actors.raft.membership import UNKNOWN_MEMBERS, Membership, first_membership
from cluster.config import NodeConfig, NodeFlags, resolve
from cluster.curve import HeldKeys, derived_pair, new_pair
from cluster.key_files import MEMBER, read, read_bootstrap, write, write_bootstrap

N2 = "n2=tcp://127.0.0.1:2"
KEY = "a1" * 32


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A bootstrap secret."""
    path = tmp_path / "secret"
    write_bootstrap(path)
    return path


def config_of(tmp_path: Path, **flags: str) -> NodeConfig:
    """The configuration of n1, whose data is in tmp_path."""
    data_dir = str(tmp_path / "n1")
    return resolve(NodeFlags(name="n1", data_dir=data_dir, **flags))


def two(own: str = "", other: str = "") -> str:
    """A cluster of n1 and n2, with these keys."""
    named = [f"n1=tcp://localhost:2380{own and '#' + own}", f"{N2}{other and '#' + other}"]
    return ",".join(named)


def founders(config: NodeConfig) -> Membership:
    return first_membership(tuple(map(founder, config.members)))


def log_of(config: NodeConfig) -> None:
    """This member has a log."""
    identity = Identity(config.member_id, config.cluster_id)
    Wal.create(config.data_dir / "wal", identity, founders(config))[0].close()


def test_a_member_without_keys_has_none(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    assert find_keys(config) is None
    assert not have_keys(config, config.member_id, founders(config), None)
    assert not config.key_path.exists()


def test_a_first_pair_is_derived_and_kept_once_it_fits_the_log(
    tmp_path: Path, secret: Path
) -> None:
    config = config_of(tmp_path, initial_cluster=two(), initial_cluster_key_file=str(secret))
    keys = find_keys(config)
    expected = HeldKeys(derived_pair(read_bootstrap(secret), "n1"), is_first=True)
    assert keys is not None and keys.held == expected
    assert not config.key_path.exists()
    assert have_keys(config, config.member_id, founders(config), keys)
    assert read(config.key_path, MEMBER) == expected


def test_a_member_that_is_alone_makes_its_pair_for_its_clients(tmp_path: Path) -> None:
    config = config_of(tmp_path, client_keys="true")
    keys = find_keys(config)
    assert keys is not None and read(config.key_path, MEMBER) == keys.held
    alone = with_own_key(config, keys)
    assert founders(alone).peers[0].keys == (keys.held.pair.public,)
    assert find_keys(config) == keys, "at the next start, too"


def test_a_key_that_others_know_already_must_be_here(tmp_path: Path) -> None:
    flags = {"initial_cluster": two(KEY, "b2" * 32)}
    with pytest.raises(StorageError, match="make it with `leasehold key make --data-dir"):
        find_keys(config_of(tmp_path, **flags))
    held = HeldKeys(new_pair())
    write(config_of(tmp_path).key_path, MEMBER, held)
    with pytest.raises(StorageError, match=f"holds the key {held.pair.public}, and by the flags"):
        find_keys(config_of(tmp_path, **flags))
    fitting = find_keys(config_of(tmp_path, initial_cluster=two(held.pair.public, "b2" * 32)))
    assert fitting is not None and fitting.held == held


def test_a_key_that_others_may_read_stops_the_start(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    write(config.key_path, MEMBER, HeldKeys(new_pair()))
    config.key_path.chmod(0o640)
    with pytest.raises(StorageError, match="others may read or change this key"):
        find_keys(config)


def test_a_lost_or_old_key_is_no_reason_to_begin_anew(tmp_path: Path, secret: Path) -> None:
    flags = {"initial_cluster": two(), "initial_cluster_key_file": str(secret)}
    config = config_of(tmp_path, **flags)
    log_of(config)
    rotated = founders(config)._replace(
        peers=tuple(each._replace(keys=(KEY,)) for each in founders(config).peers)
    )
    with pytest.raises(StorageError, match="is not there, and the members of this cluster have"):
        have_keys(config, config.member_id, rotated, find_keys(config_of(tmp_path)))
    with pytest.raises(StorageError, match="a key that is not this member's any more"):
        have_keys(config, config.member_id, rotated, find_keys(config))
    assert not config.key_path.exists()


def test_between_two_keys_either_fits(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    pair, following = new_pair(), new_pair()
    known = founders(config)
    for keys in ((pair.public,), (pair.public, following.public), (following.public,)):
        mine = known._replace(peers=(known.peers[0]._replace(keys=keys),))
        held = MemberKeys(config.key_path, HeldKeys(pair, following))
        assert have_keys(config, config.member_id, mine, held)


def test_a_cluster_that_was_made_without_keys_stays_so_and_says_so(
    tmp_path: Path, secret: Path
) -> None:
    plain = config_of(tmp_path, initial_cluster=two())
    config = config_of(tmp_path, initial_cluster=two(), initial_cluster_key_file=str(secret))
    with pytest.raises(StorageError, match="this cluster was made without"):
        have_keys(config, plain.member_id, founders(plain), find_keys(config))


def test_a_member_that_joins_goes_by_its_flags(tmp_path: Path) -> None:
    flags = {"initial_cluster": two("", KEY), "initial_cluster_state": "existing"}
    config = config_of(tmp_path, **flags)
    with pytest.raises(StorageError, match="leasehold key make"):
        find_keys(config)
    write(config.key_path, MEMBER, HeldKeys(new_pair()))
    assert have_keys(config, 5, UNKNOWN_MEMBERS, find_keys(config))


# --- leasehold key ----------------------------------------------------------------------------


def test_the_command_makes_a_pair_once_and_shows_only_the_public_half(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys" / "member.key"
    assert main(["key", "make", "--data-dir", str(tmp_path)]) == 0
    held = read(path, MEMBER)
    assert main(["key", "make", "--data-dir", str(tmp_path)]) == 0
    write(path, MEMBER, held._replace(next=new_pair()))
    assert main(["key", "show", "--data-dir", str(tmp_path)]) == 0
    following = read(path, MEMBER).next
    assert following is not None
    shown = capsys.readouterr().out.splitlines()
    assert shown == [*[held.pair.public] * 3, f"{following.public} (next)"]


def test_the_command_makes_a_secret_and_replaces_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "secret"
    assert main(["key", "bootstrap", str(path)]) == 0
    assert len(read_bootstrap(path)) == 64
    with pytest.raises(SystemExit) as refused:
        main(["key", "bootstrap", str(path)])
    assert refused.value.code == 1
    assert capsys.readouterr().err == f"leasehold key: {path} exists already\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["show"], "show needs --data-dir"),
        (["bootstrap"], "bootstrap needs FILE"),
        (["lose"], "invalid choice"),
        (["show", "--data-dir", "/nonexistent"], "No such file or directory"),
    ],
)
def test_a_wrong_command_is_told_in_a_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["key", *arguments])
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line
