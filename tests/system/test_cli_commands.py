"""leasectl against a real node: what etcdctl does not have, and what goes on until it is stopped.

What etcdctl has too is compared with it by `tests.differential.cli`.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

from cluster import Client
from cluster.launcher.local import LocalCluster
from tests.limits import HANG_SECONDS

LIBC = ctypes.CDLL(None, use_errno=True)
LEASECTL = (sys.executable, "-m", "cluster.cli")


class Ended(NamedTuple):
    """What a command left behind."""

    stdout: str
    stderr: str
    code: int


class Terminal:
    """Runs leasectl as a process."""

    def __init__(self, endpoints: list[str]) -> None:
        self.environment = {**os.environ, "LEASECTL_ENDPOINTS": ",".join(endpoints)}

    def __call__(self, *words: str, stdin: str = "", **variables: str) -> Ended:
        ended = subprocess.run(
            [*LEASECTL, *words],
            input=stdin,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
        return Ended(ended.stdout, ended.stderr, ended.returncode)

    @contextmanager
    def start(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """One that goes on."""
        pipes: dict[str, Any] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        with subprocess.Popen(
            [*LEASECTL, *words], env=self.environment, text=True, **pipes
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def line(stream: IO[str] | None) -> str:
    """One line of a process's output."""
    assert stream is not None
    return stream.readline()


def type_in(process: subprocess.Popen[str], text: str) -> None:
    """Type at a process."""
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(1, tmp_path_factory.mktemp("commands")) as cluster:
        yield cluster


@pytest.fixture
def client(running: LocalCluster) -> Iterator[Client]:
    """A client of an empty node."""
    with Client(running.endpoints) as connected:
        connected.delete("\0", "\0")
        yield connected


@pytest.fixture
def leasectl(running: LocalCluster, client: Client) -> Terminal:
    return Terminal(running.endpoints)


# --- beyond etcd ---


def test_a_key_is_counted_up_and_down(leasectl: Terminal) -> None:
    assert leasectl("incr", "hits") == ("1\n", "", 0)
    assert leasectl("incr", "hits", "41").stdout == "42\n"
    assert leasectl("incr", "hits", "--", "-2").stdout == "40\n"
    assert json.loads(leasectl("incr", "hits", "-w", "json").stdout)["value"] == 41
    assert leasectl("incr", "hits", "-w", "fields").stdout.endswith('"Value" : 42\n')
    leasectl("put", "word", "x")
    refused = "Error: leasehold: the value is not a decimal integer of 64 bits\n"
    assert leasectl("incr", "word") == ("", refused, 1)


def test_the_changes_of_a_key_are_listed_newest_first(leasectl: Terminal, client: Client) -> None:
    first = client.put("k", "one").header.revision
    client.put("k", "two")
    client.delete("k")
    changes = f"DELETE {first + 2} deleted\nk\n\nPUT {first + 1}\nk\ntwo\nPUT {first}\nk\none\n"
    assert leasectl("get", "k", "--history") == (changes, "", 0)
    assert leasectl("get", "k", "--history", "--limit=1").stdout.count("\n") == 3
    assert leasectl("get", "k", "--history", "--print-value-only").stdout == "two\none\n"
    until = leasectl("get", "k", "--history", f"--rev={first}", "-w", "json").stdout
    assert [event["kv"]["mod_revision"] for event in json.loads(until)["events"]] == [first]
    fields = leasectl("get", "k", "--history", "-w", "fields").stdout
    assert '"Reason" : "deleted"\n' in fields
    assert fields.endswith('"More" : false\n"Compacted" : false\n')
    assert leasectl("get", "k", "--history", "--prefix").code == 128


def test_a_put_with_a_ttl_says_which_lease_it_got(leasectl: Terminal, client: Client) -> None:
    put = leasectl("put", "k", "v", "--ttl=100")
    (kv,) = client.range("k")
    assert put.stdout == f"OK\nlease {kv.lease:016x} granted with TTL(100s)\n"
    again = json.loads(leasectl("put", "k", "v", "--ttl=100", "-w", "json").stdout)
    assert (again["lease"] != kv.lease, again["TTL"]) == (True, 100)
    for other in ("--lease=1", "--ignore-lease"):
        assert leasectl("put", "k", "v", "--ttl=1", other).code == 128


def test_a_transaction_may_count_keys_and_count_up(leasectl: Terminal) -> None:
    text = 'count("a/", prefix) < "2"\nver("a/", prefix) < "9"\n\nput a/1 x\nincr n 5\n\nget n\n\n'
    assert leasectl("txn", stdin=text).stdout == "SUCCESS\n\nOK\n\n5\n"
    assert leasectl("txn", stdin=text).stdout == "SUCCESS\n\nOK\n\n10\n"
    leasectl("put", "a/2", "x")
    assert leasectl("txn", stdin=text).stdout == "FAILURE\n\nn\n10\n"
    counted = json.loads(leasectl("txn", "-w", "json", stdin="\nincr n\n\n\n").stdout)
    assert counted["responses"][0]["Response"]["response_increment"]["value"] == 11


def test_a_read_may_be_bounded_by_revisions(leasectl: Terminal, client: Client) -> None:
    revision = client.put("a", "1").header.revision
    client.put("b", "2")
    client.put("a", "3")
    by_creation = leasectl("get", "", "--prefix", "--keys-only", f"--max-create-rev={revision}")
    assert by_creation.stdout == "a\n\n"
    by_change = leasectl("get", "", "--prefix", "--keys-only", f"--max-mod-rev={revision + 1}")
    assert by_change.stdout == "b\n\n"


def test_an_alarm_is_listed_and_disarmed(leasectl: Terminal, client: Client) -> None:
    member = client.status().header.member_id
    client.alarm_activate(member, "NOSPACE")
    said = f"memberID:{member} alarm:NOSPACE \n"
    assert leasectl("alarm", "list") == (said, "", 0)
    assert leasectl("put", "k", "v").stderr == "Error: etcdserver: mvcc: database space exceeded\n"
    listed = json.loads(leasectl("alarm", "list", "-w", "json").stdout)
    assert listed["alarms"] == [{"memberID": member, "alarm": 1}]
    assert leasectl("alarm", "disarm", "-w", "fields").stdout.endswith('"AlarmType" : NOSPACE\n')
    assert leasectl("alarm", "list") == ("", "", 0)


def test_a_warning_is_listed_and_disarmed_and_refuses_nothing(
    leasectl: Terminal, client: Client
) -> None:
    member = client.status().header.member_id
    client.alarm_activate(member, "DATA_LOSS")
    said = f"memberID:{member} alarm:DATA_LOSS \n"
    assert leasectl("alarm", "list") == (said, "", 0)
    assert client.status().errors == (said.strip() + " ",)
    assert leasectl("put", "k", "v").stdout == "OK\n"
    listed = json.loads(leasectl("alarm", "list", "-w", "json").stdout)
    assert listed["alarms"] == [{"memberID": member, "alarm": 4}]
    assert leasectl("alarm", "disarm") == (said, "", 0)
    assert client.status().errors == ()


def test_a_snapshot_is_saved_looked_at_and_restored(leasectl: Terminal, tmp_path: Path) -> None:
    leasectl("put", "k", "v")
    file, restored = tmp_path / "snapshot", tmp_path / "restored"
    assert leasectl("snapshot", "save", str(file)).stdout == f"Snapshot saved at {file}\n"
    status = json.loads(leasectl("snapshot", "status", str(file), "-w", "json").stdout)
    assert status["totalSize"] > 0
    assert leasectl("-w", "table", "snapshot", "status", str(file)).stdout.startswith("+--")
    words = ("snapshot", "restore", str(file), f"--data-dir={restored}")
    assert leasectl(*words).code == 0
    again = f'Error: data-dir "{restored}" not empty or could not be read\n'
    assert leasectl(*words) == ("", again, 1)


# --- what goes on until it is stopped ---


def test_watches_are_typed_one_by_one(leasectl: Terminal, client: Client) -> None:
    with leasectl.start("watch", "-i") as process:
        type_in(process, "sing\n")
        assert line(process.stderr) == "Invalid command sing (only support watch)\n"
        type_in(process, "watch a\nwatch b c -- echo ran\nprogress\n")
        revision = client.range("a").header.revision
        assert [line(process.stdout) for _ in "12"] == [f"progress notify: {revision}\n"] * 2
        client.put("a", "1")
        assert [line(process.stdout) for _ in "123"] == ["PUT\n", "a\n", "1\n"]
        client.delete("b")
        client.put("bb", "2")
        assert [line(process.stdout) for _ in "1234"] == ["PUT\n", "bb\n", "2\n", "ran\n"]
        _, errors = process.communicate(timeout=HANG_SECONDS)
    assert (errors, process.returncode) == ("Error: error reading watch request line: EOF\n", 3)


def test_a_watch_whose_command_fails_ends(leasectl: Terminal, client: Client) -> None:
    revision = client.put("a", "1").header.revision
    rev = f"--rev={revision}"
    said = 'command ["sh" "-c" "exit 3"] error (exit status 3)\n'
    assert leasectl("watch", "a", rev, "--", "sh", "-c", "exit 3") == ("PUT\na\n1\n", said, 1)
    with leasectl.start("watch", "-i") as process:
        type_in(process, f"watch a {rev} -- false\n")
        assert process.wait(HANG_SECONDS) == 1


def test_a_line_of_the_shell_runs_for_each_event(leasectl: Terminal, client: Client) -> None:
    revision = client.put("a b", "it's").header.revision
    told = "$ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY=$ETCD_WATCH_VALUE at $ETCD_WATCH_REVISION"
    shell_line = f'echo "{told}" | cat; exit 3'
    ended = leasectl("watch", "a b", f"--rev={revision}", "--exec", shell_line)
    assert ended[0] == f'PUT\na b\nit\'s\n"PUT" "a b"="it\'s" at {revision}\n'
    assert ended[1].endswith(" error (exit status 3)\n")
    exclusive = "Error: `--exec` and a command behind `--` are mutually exclusive\n"
    assert leasectl("watch", "a", "--exec", "true", "--", "true") == ("", exclusive, 128)


def test_the_environment_says_what_to_watch(leasectl: Terminal, client: Client) -> None:
    conflict = "Error: bad number of arguments (found conflicting environment key)\n"
    assert leasectl("watch", "b", LEASECTL_WATCH_KEY="a") == ("", conflict, 128)
    revision = client.put("zz", "1").header.revision
    ended = leasectl(
        "watch",
        f"--rev={revision}",
        "--",
        "false",
        ETCDCTL_WATCH_KEY="a",
        ETCDCTL_WATCH_RANGE_END=r"\x00",
    )
    assert ended.stdout == "PUT\nzz\n1\n"


def interrupt_elsewhere(process: subprocess.Popen[str]) -> None:
    """Ctrl-C that no wait of the main thread sees: its system call goes on.

    So it is for one that comes just before the call. Here another thread gets the signal.
    """
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        status = dict(each.split(":\t", 1) for each in (task / "status").read_text().splitlines())
        is_blocked = int(status["SigBlk"], 16) >> (signal.SIGINT - 1) & 1
        if int(task.name) != process.pid and not is_blocked:
            assert LIBC.tgkill(process.pid, int(task.name), signal.SIGINT) == 0
            return
    raise AssertionError("no other thread takes a signal")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["watch", "key", "--rev=1"], 130),
        (["lease", "keep-alive", "77"], 130),
        (["lock", "job"], 0),
        (["elect", "office", "me"], 0),
        (["elect", "-l", "led"], 0),
    ],
)
def test_ctrl_c_is_heard_just_before_a_wait(
    leasectl: Terminal, client: Client, words: list[str], code: int
) -> None:
    client.put("key", "value")
    with client.lease.grant(3_600, id=0x77), leasectl.start("elect", "led", "me") as leader:
        assert line(leader.stdout).startswith("led/")
        with leasectl.start(*words) as process:
            assert line(process.stdout)
            interrupt_elsewhere(process)
            assert process.communicate(timeout=HANG_SECONDS)[1] == ""
    assert process.returncode == code


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_lock_is_held_until_it_is_stopped(
    leasectl: Terminal, client: Client, ending: signal.Signals
) -> None:
    with leasectl.start("lock", "job") as process:
        key = line(process.stdout).strip()
        assert line(process.stdout) == "\n"
        assert client.get(key) is not None
        process.send_signal(ending)
        assert process.communicate(timeout=HANG_SECONDS) == ("", "")
    assert process.returncode == 0
    assert client.get(key) is None


def test_a_lock_whose_lease_ends_is_an_error(leasectl: Terminal, client: Client) -> None:
    with leasectl.start("lock", "job") as process:
        key = line(process.stdout).strip()
        client.lease.revoke(int(key.rpartition("/")[2], 16))
        _, errors = process.communicate(timeout=HANG_SECONDS)
    assert (errors, process.returncode) == ("Error: session expired\n", 1)


def test_a_command_runs_under_a_lock_and_its_status_is_leasectls(leasectl: Terminal) -> None:
    script = 'echo "$ETCD_LOCK_KEY $ETCD_LOCK_REV"; exit 3'
    ended = leasectl("lock", "job", "--", "sh", "-c", script)
    key, revision = ended.stdout.split()
    assert key.startswith("job/")
    assert int(revision) > 0
    assert (ended.stderr, ended.code) == ("Error: exit status 3\n", 3)
    assert leasectl("get", "job", "--prefix").stdout == ""


@pytest.mark.parametrize("status", [0, 3])
def test_a_lock_that_is_lost_while_its_command_runs_is_said_at_once(
    leasectl: Terminal, client: Client, status: int
) -> None:
    script = f'echo "$ETCD_LOCK_KEY"; read word; exit {status}'
    with leasectl.start("lock", "job", "--", "sh", "-c", script) as process:
        key = line(process.stdout).strip()
        client.delete(key)
        lost = f"the key {key} was deleted\n"
        assert line(process.stderr) == f"Warning: the lock is lost while the command runs: {lost}"
        _, errors = process.communicate("go on\n", timeout=HANG_SECONDS)
    ended = (f"Error: {lost}", 1) if status == 0 else ("Error: exit status 3\n", 3)
    assert (errors, process.returncode) == ended


def test_leaders_are_listened_to(leasectl: Terminal) -> None:
    with leasectl.start("elect", "office", "me") as candidate:
        assert line(candidate.stdout).startswith("office/")
        with leasectl.start("elect", "-l", "office") as listener:
            assert line(listener.stdout).startswith("office/")
            assert line(listener.stdout) == "me\n"
            candidate.send_signal(signal.SIGINT)
            assert candidate.wait(HANG_SECONDS) == 0
            with leasectl.start("elect", "office", "you") as successor:
                assert line(listener.stdout) == line(successor.stdout)
                assert line(listener.stdout) == "you\n"
                listener.send_signal(signal.SIGINT)
                assert listener.wait(HANG_SECONDS) == 0
