"""leasectl edit, export, import and wait, in front of a node."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster import Client
from cluster.cli.transfer import LINE_BYTES_MAX, Pair, batches
from cluster.launcher.local import LocalCluster
from tests.cluster.in_process import Leasectl, leasectl_for

pytestmark = pytest.mark.process


@pytest.fixture
def leasectl(
    node: LocalCluster,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Leasectl:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return leasectl_for(node.endpoints[0], capsysbinary, monkeypatch)


EditBy = Callable[[str], None]


@pytest.fixture
def edit_by(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> EditBy:
    """Make an editor of lines of a shell script, which has the file as $1."""

    def make(script: str) -> None:
        path = tmp_path_factory.mktemp("editor") / "an editor"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", f"'{path}' --wait")

    return make


def test_edit_writes_what_the_editor_leaves(
    leasectl: Leasectl, client: Client, edit_by: EditBy, tmp_path: Path
) -> None:
    lease = client.lease.grant(60)
    client.put("k", b"old\xff", lease=lease)
    edit_by('shift; grep -qa old "$1" && stat -c %a "$1" >"$1.mode"; echo new >"$1"')
    assert leasectl("edit", "k") == (b"OK\n", "", 0)
    found = client.get("k")
    assert found is not None
    # The editor ended the line; the value had no such end. The lease stays.
    assert (found.value, found.lease) == (b"new", lease.id)
    (mode,) = tmp_path.iterdir()  # the file itself is gone
    assert mode.read_text() == "600\n"


def test_edit_changes_nothing_when_the_text_is_the_same(
    leasectl: Leasectl, client: Client, edit_by: EditBy, tmp_path: Path
) -> None:
    put = client.put("k", "two\nlines\n")
    edit_by('shift; test -s "$1"')
    assert leasectl("edit", "k") == (b"", "unchanged\n", 0)
    found = client.get("k")
    assert found is not None
    assert (found.value, found.mod_revision) == (b"two\nlines\n", put.header.revision)
    edit_by("true")
    assert leasectl("edit", "none") == (b"", "unchanged\n", 0)
    assert client.get("none") is None
    assert list(tmp_path.iterdir()) == []


def test_edit_makes_a_key_that_does_not_exist(
    leasectl: Leasectl, client: Client, edit_by: EditBy
) -> None:
    edit_by('shift; printf "a\\nb\\n" >"$1"')
    assert leasectl("edit", "k").stdout == b"OK\n"
    found = client.get("k")
    assert found is not None
    assert found.value == b"a\nb"


def test_edit_does_not_overwrite_the_change_of_another_and_keeps_the_text(
    leasectl: Leasectl,
    client: Client,
    edit_by: EditBy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.put("k", "old")

    def another(command: list[str], variables: dict[str, str]) -> int:
        client.put("k", "another's")
        Path(command[-1]).write_text("mine")
        return 0

    monkeypatch.setattr("cluster.cli.children.run", another)
    ended = leasectl("edit", "k")
    (kept,) = tmp_path.iterdir()
    assert ended.code == 1
    assert ended.stderr.startswith("Error: the key has been changed meanwhile")
    assert str(kept) in ended.stderr
    assert kept.read_text() == "mine"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    found = client.get("k")
    assert found is not None
    assert found.value == b"another's"


def test_an_editor_that_fails_changes_nothing(
    leasectl: Leasectl, client: Client, edit_by: EditBy, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_by('shift; echo new >"$1"; exit 3')
    ended = leasectl("edit", "k")
    assert ended.code == 1
    assert ended.stderr.startswith("Error: the editor ended with exit status 3: the key is as it")
    monkeypatch.setenv("EDITOR", "no-such-editor")
    ended = leasectl("edit", "k")
    text = 'exec: "no-such-editor": executable file not found in $PATH: set $EDITOR to your editor'
    assert ended == (b"", f"Error: {text}\n", 1)
    assert client.get("k") is None
    assert leasectl("edit").code == 128


def test_what_is_exported_can_be_imported(leasectl: Leasectl, client: Client) -> None:
    pairs = {f"a/{number:04}".encode(): b"x" * number for number in range(300)}
    pairs[b"a/\xff"] = b"\0\xfe"
    for key, value in pairs.items():
        client.put(key, value)
    client.put("b", "not exported")
    exported = leasectl("export", "a/", "--prefix")
    assert (exported.stderr, exported.code) == ("", 0)
    assert exported.stdout.startswith(
        b'{"key":"a/0000","value":""}\n{"key":"a/0001","value":"x"}\n'
    )
    client.delete("a/", prefix=True)
    assert leasectl("import", stdin=exported.stdout) == (b"", "imported 301 keys\n", 0)
    assert {kv.key: kv.value for kv in client.range("a/", prefix=True)} == pairs
    everything = leasectl("export").stdout
    assert everything.count(b"\n") == 302
    assert everything.endswith(b'{"key":"b","value":"not exported"}\n')


def test_export_reads_the_past(leasectl: Leasectl, client: Client) -> None:
    revision = client.put("k", "old").header.revision
    client.put("k", "new")
    assert leasectl("export", "k", f"--rev={revision}").stdout == b'{"key":"k","value":"old"}\n'


def test_import_takes_lines_of_jsonl_from_a_file(
    leasectl: Leasectl, client: Client, tmp_path: Path
) -> None:
    client.put("k", "v")
    file = tmp_path / "keys"
    file.write_bytes(leasectl("get", "k", "-w", "jsonl").stdout)
    client.delete("k")
    assert leasectl("import", str(file)).stderr == "imported 1 keys\n"
    assert client.get("k") is not None
    none = leasectl("import", str(tmp_path / "none"))
    assert none.stderr == f"Error: {tmp_path}/none: No such file or directory\n"
    assert none.code == 3


@pytest.mark.parametrize("wrong", ["{", "1", '{"key":"a"}', '{"key":"a","value":1}', "[" * 90_000])
def test_a_wrong_line_is_named_and_those_before_it_are_there(
    leasectl: Leasectl, client: Client, wrong: str
) -> None:
    good = '{"key":"k","value":"v"}\n'
    ended = leasectl("import", stdin=f"{good}{wrong}\n{good}".encode())
    assert ended.code == 3
    assert ended.stderr.startswith("Error: line 2: ")
    assert client.get("k") is not None


def test_a_line_that_no_request_can_hold_is_named(leasectl: Leasectl) -> None:
    long = b'{"key":"k","value":"' + bytes(LINE_BYTES_MAX)
    ended = leasectl("import", stdin=long)
    assert (ended.stderr, ended.code) == ("Error: line 1 is too long\n", 3)


def test_a_transaction_holds_no_key_twice_and_not_too_much() -> None:
    large = Pair(b"l", bytes(400_000))
    pairs = [Pair(b"a", b"1"), Pair(b"b", b""), Pair(b"a", b"2"), large, large._replace(key=b"m")]
    sizes = [[pair.key for pair in batch] for batch in batches(pairs, 128)]
    assert sizes == [[b"a", b"b"], [b"a", b"l"], [b"m"]]
    assert [len(batch) for batch in batches(pairs, 1)] == [1] * 5


def test_wait_ends_when_a_member_leads(leasectl: Leasectl, client: Client) -> None:
    leader = f"{client.status().leader:x}\n"
    assert leasectl("wait", "--leader") == (leader.encode(), "", 0)


def test_wait_for_nobody_ends_in_time(leasectl: Leasectl) -> None:
    ended = leasectl("wait", "--leader", "--timeout=100ms", "--endpoints=127.0.0.1:1")
    assert ended.code == 1
    assert ended.stderr.startswith("Error: no leader within 0.1 s: ")
    assert leasectl("wait").code == 128


def test_names_of_etcdctl_can_still_be_abbreviated(leasectl: Leasectl) -> None:
    assert leasectl("w") == (b"", "Error: bad number of arguments\n", 128)
