"""Snapshot files without a cluster: what one holds, and members of a new cluster made of one."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actors.__main__ import main
from actors.language.commands import Compact, DeleteRange, LeaseGrant, Put, Range, SessionOpen
from actors.language.errors import StorageError
from actors.language.results import Failure
from actors.member_keys import find_keys, have_keys
from actors.offline.restore import REVISION_BUMP, restore, status_of
from actors.raft.disk.wal import Contents, Wal
from actors.raft.membership import decode
from actors.store.disk.backend import LmdbBackend
from actors.store.disk.snapshot_file import seal
from actors.store.machine import Machine
from actors.store.questions import answer
from cluster.config import NodeConfig, NodeFlags, resolve
from cluster.curve import new_pair
from cluster.key_files import MEMBER, MEMBER_FILE, read, write_bootstrap
from tests.limits import HANG_SECONDS
from tests.store.driver import Driver

pytestmark = pytest.mark.process

MEMBERS = "n1=tcp://127.0.0.1:11,n2=tcp://127.0.0.1:12"


def config_of(data_dir: Path, name: str = "n1") -> NodeConfig:
    """One of two members of a new cluster."""
    return resolve(
        NodeFlags(
            name=name,
            data_dir=str(data_dir),
            initial_cluster=MEMBERS,
            initial_advertise_peer_urls=f"tcp://127.0.0.1:1{name[1:]}",
        )
    )


APPLIED = 13


def filled(path: Path) -> Driver:
    """A store with a past of so many entries: revisions 2 to 11, compacted at 5."""
    driver = Driver(LmdbBackend(path))
    session = driver.do(SessionOpen(77)).session
    assert session
    driver.do(LeaseGrant(7, 60_000))
    for number in range(9):
        driver.do(Put(b"key%d" % (number % 3), b"%d" % number, lease=7))
    driver.do(DeleteRange(b"key0"))
    driver.do(Compact(5))
    driver.commit()
    return driver


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A sealed snapshot of such a store."""
    driver = filled(tmp_path / "old")
    driver.backend.close()
    path = tmp_path / "file.snapshot"
    path.write_bytes((tmp_path / "old").read_bytes())
    seal(path)
    return path


class Opened:
    """What is in a data directory that was made by `restore`."""

    def __init__(self, data_dir: Path) -> None:
        self.backend = LmdbBackend(data_dir / "store")
        self.machine = Machine(self.backend, ())
        self.values = [(kv.key, kv.value) for kv in self.ask(Range(b"\0", b"\0")).kvs]
        wal, self.log = Wal.open(data_dir / "wal")
        wal.close()
        self.names = sorted(path.name for path in data_dir.iterdir() if "lock" not in path.name)
        self.backend.close()

    def ask(self, query: Range) -> Any:
        """The answer to a query."""
        return answer(self.machine, query, 0)


def restored(snapshot: Path, data_dir: Path, name: str = "n1", bump: int = REVISION_BUMP) -> Any:
    restore(snapshot, config_of(data_dir, name), bump, skip_hash_check=False)
    return data_dir


def identity_of(data_dir: Path) -> Any:
    contents: Contents = Opened(data_dir).log
    return contents.identity


def value_of(driver: Driver, key: bytes, revision: int = 0) -> bytes | None:
    kv = driver.get(key, revision)
    return None if kv is None else kv.value


# --- status -----------------------------------------------------------------------------------


def test_status_tells_what_a_snapshot_holds(snapshot: Path) -> None:
    status = status_of(snapshot)
    assert status[1:] == (11, 10, snapshot.stat().st_size)
    assert status.hash == status_of(snapshot).hash


@pytest.mark.parametrize(
    ("form", "begins"),
    [("simple", ""), ("table", "+-"), ("fields", '"Hash" : ')],
)
def test_status_is_printed_as_etcdutl_does(
    snapshot: Path, form: str, begins: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["snapshot", "status", str(snapshot), "-w", form]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(begins)
    assert main(["snapshot", "status", str(snapshot), "-w", "json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert list(status) == ["hash", "revision", "totalKey", "totalSize"]
    shown = f"{status['hash']:x}" if form != "fields" else str(status["hash"])
    assert shown in printed


def test_a_damaged_snapshot_is_refused_wherever_it_is_damaged(
    snapshot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = snapshot.read_bytes()
    for at in (0, 20, 5_000, len(content) // 2, len(content) - 40, len(content) - 1):
        snapshot.write_bytes(content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :])
        with pytest.raises(SystemExit) as ended:
            main(["snapshot", "status", str(snapshot)])
        assert ended.value.code == 1
        assert f"{snapshot}: damaged at byte " in capsys.readouterr().err


def test_a_file_that_is_no_snapshot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(b"something else " * 1_000)
    with pytest.raises(StorageError, match="does not end as a snapshot does"):
        status_of(path)
    seal(path)
    with pytest.raises(StorageError, match="damaged at byte 0"):
        status_of(path)


# --- restore ----------------------------------------------------------------------------------


def test_a_restored_member_has_the_data_and_a_new_clusters_members(
    snapshot: Path, tmp_path: Path
) -> None:
    there = Opened(restored(snapshot, tmp_path / "new"))
    machine = there.machine
    assert there.names == ["store", "wal"]
    assert there.values == [(b"key1", b"7"), (b"key2", b"8")]
    assert machine.leases.table[7].deadline_ms == 61_000
    assert sorted(machine.leases.table[7].keys) == [b"key1", b"key2"]
    assert not machine.sessions.table
    members = [(member.name, member.peer_urls) for member in machine.members.values()]
    assert sorted(members) == [("n1", ("tcp://127.0.0.1:11",)), ("n2", ("tcp://127.0.0.1:12",))]


def test_its_log_begins_after_the_snapshot_and_fits_its_store(
    snapshot: Path, tmp_path: Path
) -> None:
    there = Opened(restored(snapshot, tmp_path / "new"))
    machine, log = there.machine, there.log
    assert machine.applied_index == log.hard_state.commit == log.log.last_index
    assert machine.applied_index == APPLIED
    assert log.log.term(machine.applied_index) == machine.applied_term == log.hard_state.term
    assert decode(machine.membership) == log.membership
    assert {peer.id for peer in log.membership.peers} == set(machine.members)


def test_old_revisions_are_compacted_so_that_no_watcher_is_misled(
    snapshot: Path, tmp_path: Path
) -> None:
    there = Opened(restored(snapshot, tmp_path / "new"))
    now = there.machine.revision
    assert now == there.machine.store.compact_revision == 11 + REVISION_BUMP
    for revision in (5, 11, 12, 1_000_000, now - 1):
        assert there.ask(Range(b"key1", revision=revision)) == Failure("Compacted")


def test_a_restored_store_goes_on_and_can_be_compacted(snapshot: Path, tmp_path: Path) -> None:
    data_dir = restored(snapshot, tmp_path / "new")
    driver = Driver(LmdbBackend(data_dir / "store"))
    first = driver.do(Put(b"key1", b"new")).revision
    assert first == 12 + REVISION_BUMP
    assert value_of(driver, b"key1", first - 1) == b"7"
    driver.do(Compact(first))
    driver.sweep()
    driver.crash()
    assert value_of(driver, b"key1") == b"new"
    assert value_of(driver, b"key2") == b"8"
    driver.backend.close()


def test_without_a_bump_the_revision_stays(snapshot: Path, tmp_path: Path) -> None:
    machine = Opened(restored(snapshot, tmp_path / "new", bump=0)).machine
    assert (machine.revision, machine.store.compact_revision) == (11, 5)


def test_members_made_of_one_snapshot_are_one_cluster_and_no_other_is(
    snapshot: Path, tmp_path: Path
) -> None:
    first = identity_of(restored(snapshot, tmp_path / "1"))
    second = identity_of(restored(snapshot, tmp_path / "2", "n2"))
    assert first.cluster_id == second.cluster_id
    assert first.member_id != second.member_id
    assert identity_of(restored(snapshot, tmp_path / "3", bump=5)).cluster_id != first.cluster_id
    assert config_of(tmp_path / "1").cluster_id != first.cluster_id


def test_a_data_directory_that_is_used_is_refused(snapshot: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "new"
    data_dir.mkdir()
    (data_dir / "something").write_text("precious")
    with pytest.raises(StorageError, match=f'data-dir "{data_dir}" not empty or could not be read'):
        restored(snapshot, data_dir)
    assert [path.name for path in data_dir.iterdir()] == ["something"]


def test_a_damaged_snapshot_makes_no_data_directory(snapshot: Path, tmp_path: Path) -> None:
    content = bytearray(snapshot.read_bytes())
    content[9_000] ^= 1
    snapshot.write_bytes(content)
    with pytest.raises(StorageError, match="damaged at byte"):
        restored(snapshot, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_store_without_a_hash_is_restored_only_if_that_is_asked_for(tmp_path: Path) -> None:
    filled(tmp_path / "old").backend.close()
    config = config_of(tmp_path / "new")
    with pytest.raises(StorageError, match="does not end as a snapshot does"):
        restore(tmp_path / "old", config, 0, skip_hash_check=False)
    restore(tmp_path / "old", config, 0, skip_hash_check=True)
    assert Opened(tmp_path / "new").machine.revision == 11


def test_what_a_crash_left_of_a_restore_does_not_matter(snapshot: Path, tmp_path: Path) -> None:
    (tmp_path / "new.part" / "wal").mkdir(parents=True)
    (tmp_path / "new.part" / "store").write_bytes(b"half")
    assert Opened(restored(snapshot, tmp_path / "new")).machine.revision == 11 + REVISION_BUMP


def restoring(snapshot: Path, data_dir: Path) -> subprocess.Popen[str]:
    """A process that restores."""
    words = ["snapshot", "restore", str(snapshot), f"--data-dir={data_dir}"]
    return subprocess.Popen(
        [sys.executable, "-m", "actors", *words], stderr=subprocess.PIPE, text=True
    )


def test_one_process_at_a_time_restores_to_a_directory(snapshot: Path, tmp_path: Path) -> None:
    part = tmp_path / "new.part"
    part.mkdir()
    (part / "half").write_text("of the other process")
    file = os.open(part, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        process = restoring(snapshot, tmp_path / "new")
        _, said = process.communicate(timeout=HANG_SECONDS)
    finally:
        os.close(file)
    assert process.returncode == 1
    assert said == (
        f"leasehold snapshot: another process is restoring to {tmp_path / 'new'} just now\n"
    )
    assert [path.name for path in part.iterdir()] == ["half"]
    assert not (tmp_path / "new").exists()
    assert Opened(restored(snapshot, tmp_path / "new")).machine.revision == 11 + REVISION_BUMP
    assert not part.exists()


def test_of_several_that_restore_at_once_one_succeeds_and_the_others_say_why_not(
    snapshot: Path, tmp_path: Path
) -> None:
    processes = [restoring(snapshot, tmp_path / "new") for _ in range(4)]
    said = [process.communicate(timeout=HANG_SECONDS)[1] for process in processes]
    losers = [text for text, p in zip(said, processes, strict=True) if p.returncode]
    assert len(losers) == 3, said
    for text in losers:
        assert "another process is restoring to" in text or "not empty" in text, text
    assert Opened(tmp_path / "new").machine.revision == 11 + REVISION_BUMP
    assert sorted(path.name for path in tmp_path.iterdir() if "new" in path.name) == ["new"]


def test_a_full_disk_is_named_with_the_file_that_did_not_fit(
    snapshot: Path, tmp_path: Path
) -> None:
    limit = snapshot.stat().st_size // 2
    words = f"snapshot restore {snapshot} --data-dir={tmp_path}/new"
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, "
        f"({limit}, {limit})); from actors.__main__ import main; main({words.split()!r})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert ended.returncode == 1
    assert f"{tmp_path}/new.part/store: File too large: raise the limit" in ended.stderr
    assert not (tmp_path / "new.part").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--bump-revision", "-1"], "--bump-revision must be between 0 and"),
        (["--bump-revision", "0", "--mark-compacted"], "--mark-compacted required if"),
        (["--initial-cluster", "other=tcp://h:1"], "couldn't find local name"),
    ],
)
def test_wrong_flags_are_named(
    snapshot: Path,
    tmp_path: Path,
    arguments: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["snapshot", "restore", str(snapshot), f"--data-dir={tmp_path / 'new'}", *arguments])
    assert ended.value.code == 1
    assert complaint in capsys.readouterr().err


# --- keys of members --------------------------------------------------------------------------


def keyed_config(data_dir: Path, key: str, **flags: str) -> NodeConfig:
    """One of two members that have keys."""
    named = f"n1=tcp://127.0.0.1:11#{key},n2=tcp://127.0.0.1:12#{new_pair().public}"
    url = "tcp://127.0.0.1:11"
    flags = {"initial_cluster": named, "initial_advertise_peer_urls": url, **flags}
    return resolve(NodeFlags(name="n1", data_dir=str(data_dir), **flags))


def made_key(data_dir: Path) -> str:
    """What `leasehold key make` makes of a directory; the public half."""
    assert main(["key", "make", f"--data-dir={data_dir}"]) == 0
    return read(data_dir / MEMBER_FILE, MEMBER).pair.public


def starts_with_keys(config: NodeConfig) -> bool:
    """Whether a node finds that its keys fit what was restored."""
    _, contents = Wal.open(config.data_dir / "wal")
    keys = find_keys(config)
    return have_keys(config, config.member_id, contents.membership, keys)


def test_a_member_keeps_the_key_that_was_made_for_it(snapshot: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "n1"
    key = made_key(data_dir)
    config = keyed_config(data_dir, key)
    assert restore(snapshot, config, REVISION_BUMP, skip_hash_check=False).have_keys
    assert read(data_dir / MEMBER_FILE, MEMBER).pair.public == key
    assert starts_with_keys(config)
    assert not data_dir.with_name("n1.part").exists()


def test_members_may_begin_with_a_secret_that_they_share(snapshot: Path, tmp_path: Path) -> None:
    write_bootstrap(tmp_path / "secret")
    flags = {"initial_cluster": MEMBERS, "initial_cluster_key_file": str(tmp_path / "secret")}
    config = keyed_config(tmp_path / "n1", "", **flags)
    restore(snapshot, config, REVISION_BUMP, skip_hash_check=False)
    assert starts_with_keys(config)


def test_a_member_that_is_alone_needs_to_name_its_key_to_nobody(
    snapshot: Path, tmp_path: Path
) -> None:
    data_dir = tmp_path / "n1"
    key = made_key(data_dir)
    config = resolve(NodeFlags(name="n1", data_dir=str(data_dir)))
    restore(snapshot, config, REVISION_BUMP, skip_hash_check=False)
    assert starts_with_keys(config)
    _, contents = Wal.open(data_dir / "wal")
    assert [peer.keys for peer in contents.membership.peers] == [(key,)]


@pytest.mark.parametrize(
    ("is_made", "complaint"),
    [(False, "make it with `leasehold key make"), (True, "name the one that the file holds")],
)
def test_a_key_that_is_missing_or_another_is_named_before_anything_is_made(
    snapshot: Path, tmp_path: Path, is_made: bool, complaint: str
) -> None:
    data_dir = tmp_path / "n1"
    if is_made:
        made_key(data_dir)
    with pytest.raises(StorageError, match=complaint):
        restore(snapshot, keyed_config(data_dir, "a1" * 32), 0, skip_hash_check=False)
    assert (data_dir / MEMBER_FILE).exists() == is_made
    assert not (data_dir / "wal").exists()


def test_a_restore_that_ends_early_leaves_the_key_to_the_next_one(
    snapshot: Path, tmp_path: Path
) -> None:
    data_dir, part = tmp_path / "n1", tmp_path / "n1.part"
    key = made_key(data_dir)
    config = keyed_config(data_dir, key)
    (tmp_path / "torn").write_bytes(snapshot.read_bytes()[:-5_000])
    with pytest.raises(StorageError):
        restore(tmp_path / "torn", config, 0, skip_hash_check=True)
    assert read(data_dir / MEMBER_FILE, MEMBER).pair.public == key and not part.exists()
    # As a kill leaves it just before the directory gets its name.
    part.mkdir()
    (data_dir / "keys").rename(part / "keys")
    data_dir.rmdir()
    restore(snapshot, config, 0, skip_hash_check=False)
    assert starts_with_keys(config)


def test_members_that_lose_their_keys_are_told_so(
    snapshot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = made_key(tmp_path / "n1")
    restore(snapshot, keyed_config(tmp_path / "n1", key), 0, skip_hash_check=False)
    (keyed := tmp_path / "keyed").write_bytes((tmp_path / "n1" / "store").read_bytes())
    capsys.readouterr()
    flags = ["--skip-hash-check", "--bump-revision=0", f"--data-dir={tmp_path / 'open'}"]
    assert main(["snapshot", "restore", str(keyed), *flags]) == 0
    assert "the members of the new cluster have no keys" in capsys.readouterr().err
