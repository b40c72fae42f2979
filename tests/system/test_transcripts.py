"""What people type, and what they must see: etcd's lease and key sessions, typed at a real cluster.

A transcript's `$` lines are commands; the lines below each must come out to the byte. `<name>`
stands for a lease id, the same one wherever the name is used again; `<N>` for any number.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cluster import Client
from cluster.launcher.local import LocalCluster
from tests.limits import HANG_SECONDS

LEASECTL = (sys.executable, "-m", "cluster.cli")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    path = tmp_path_factory.mktemp("transcripts")
    with LocalCluster(size=3, data_dir=path, node_flags=["--min-lease-ttl=0.2"]) as cluster:
        yield cluster


@pytest.fixture
def client(running: LocalCluster) -> Iterator[Client]:
    """A client of an empty cluster."""
    with Client(running.endpoints) as connected:
        connected.delete("\0", "\0")
        for lease_id in connected.lease.list().ids:
            connected.lease.revoke(lease_id)
        yield connected


class Terminal:
    """Types transcripts, and remembers what their names stand for."""

    def __init__(self, endpoints: list[str]) -> None:
        self.environment = {**os.environ, "LEASECTL_ENDPOINTS": ",".join(endpoints)}
        self.names: dict[str, str] = {}

    def type(self, transcript: str) -> None:
        """Run each command and compare what it prints."""
        lines = textwrap.dedent(transcript).strip("\n").split("\n")
        starts = [index for index, line in enumerate(lines) if line.startswith("$ ")]
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            expected = "".join(line + "\n" for line in lines[start + 1 : end])
            self.expect(self.output(lines[start].removeprefix("$ leasectl ")), expected)

    def output(self, command: str) -> str:
        """What a command prints; it must succeed and complain of nothing."""
        ended = subprocess.run(
            [*LEASECTL, *self.words(command)],
            check=False,
            env=self.environment,
            capture_output=True,
            timeout=HANG_SECONDS,
        )
        assert (ended.returncode, ended.stderr) == (0, b""), command
        return ended.stdout.decode()

    @contextmanager
    def start(self, command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Type a command in another terminal, as it were."""
        words = [*LEASECTL, *self.words(command)]
        with subprocess.Popen(words, env=self.environment, stdout=subprocess.PIPE) as process:
            try:
                yield process
            finally:
                process.kill()

    def words(self, command: str) -> list[str]:
        """The words of a command line, names replaced by what they stand for."""
        return shlex.split(re.sub(r"<(\w+)>", lambda name: self.names[name[1]], command))

    def expect(self, output: str, expected: str) -> None:
        """Compare to the byte; a new name takes what stands in its place."""
        pattern = ""
        for part in re.split(r"(<\w+>)", expected):
            name = part[1:-1]
            if part == "<N>":
                pattern += r"\d+"
            elif not re.fullmatch(r"<\w+>", part):
                pattern += re.escape(part)
            elif name in self.names:
                pattern += self.names[name]
            else:
                pattern += f"(?P<{name}>[0-9a-f]{{16}})"
        match = re.fullmatch(pattern, output)
        assert match is not None, f"printed:\n{output}\nexpected:\n{expected}"
        self.names.update(match.groupdict())


@pytest.fixture
def terminal(running: LocalCluster, client: Client) -> Terminal:
    return Terminal(running.endpoints)


def test_a_lease_is_granted_used_looked_at_and_revoked(terminal: Terminal) -> None:
    terminal.type("""
    $ leasectl lease grant 100
    lease <first> granted with TTL(100s)
    $ leasectl put --lease=<first> /test/mylease testlease
    OK
    $ leasectl get /test/mylease
    /test/mylease
    testlease
    $ leasectl lease timetolive <first>
    lease <first> granted with TTL(100s), remaining(<N>s)
    $ leasectl lease grant 300
    lease <second> granted with TTL(300s)
    $ leasectl put key5 value05 --lease=<second>
    OK
    $ leasectl put key6 value06 --lease=<second>
    OK
    $ leasectl lease timetolive <second> --keys
    lease <second> granted with TTL(300s), remaining(<N>s), attached keys([key5 key6])
    $ leasectl lease grant 400
    lease <third> granted with TTL(400s)
    $ leasectl lease grant 500
    lease <fourth> granted with TTL(500s)
    $ leasectl lease list
    found 4 leases
    <first>
    <second>
    <third>
    <fourth>
    $ leasectl lease revoke <second>
    lease <second> revoked
    $ leasectl get key5
    $ leasectl get key6
    $ leasectl lease timetolive <second> --keys
    lease <second> already expired
    $ leasectl lease keep-alive --once <first>
    lease <first> keepalived with TTL(100)
    $ leasectl lease keep-alive <second>
    lease <second> expired or revoked.
    """)


def test_a_lease_that_ends_takes_its_keys_along(terminal: Terminal, client: Client) -> None:
    with client.watch("/test/mylease") as changes:
        terminal.type("""
        $ leasectl lease grant 5
        lease <lease> granted with TTL(5s)
        $ leasectl put --lease=<lease> /test/mylease testlease
        OK
        """)
        assert changes.get(HANG_SECONDS).type == "PUT"
        expired = changes.get(HANG_SECONDS)
    assert (expired.type, expired.reason) == ("DELETE", "lease expired")
    terminal.type("""
    $ leasectl get /test/mylease
    $ leasectl lease timetolive <lease> --keys
    lease <lease> already expired
    """)


def test_keep_alive_goes_on_until_ctrl_c(terminal: Terminal, client: Client) -> None:
    terminal.type("""
    $ leasectl lease grant 5
    lease <lease> granted with TTL(5s)
    """)
    with terminal.start("lease keep-alive <lease>") as process:
        assert process.stdout is not None
        for _ in range(5):  # one in a third of the TTL: longer than the lease would last alone
            line = process.stdout.readline().decode()
            terminal.expect(line, "lease <lease> keepalived with TTL(5)\n")
        assert client.lease.time_to_live(int(terminal.names["lease"], 16)).remaining_ms > 0
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=HANG_SECONDS)[0] == b""
    assert process.returncode == 130


def test_json_reads_as_etcds(terminal: Terminal, client: Client) -> None:
    terminal.type("""
    $ leasectl lease grant 100
    lease <lease> granted with TTL(100s)
    $ leasectl put key01 value01 --lease=<lease>
    OK
    """)
    printed = terminal.output("get key01 -w json")
    header = '{"cluster_id":<N>,"member_id":<N>,"revision":<N>,"raft_term":<N>}'
    kv = (
        '{"key":"a2V5MDE=","create_revision":<N>,"mod_revision":<N>,"version":1,'
        '"value":"dmFsdWUwMQ==","lease":<N>}'
    )
    terminal.expect(printed, '{"header":' + header + ',"kvs":[' + kv + '],"count":1}\n')
    document: dict[str, Any] = json.loads(printed)
    assert document["kvs"][0]["lease"] == int(terminal.names["lease"], 16)
    reread = subprocess.run(
        [sys.executable, "-m", "json.tool"],
        input=printed.encode(),
        check=True,
        capture_output=True,
    )
    assert json.loads(reread.stdout) == document


def test_a_watch_prints_puts_and_deletes_as_they_happen(terminal: Terminal, client: Client) -> None:
    # Typed later or from the revision of this moment: what the other terminal does is the same.
    revision = client.put("/users/", "").header.revision + 1
    client.delete("/users/")
    with terminal.start(f'watch "/users/" --prefix --rev={revision + 1}') as process:
        terminal.type("""
        $ leasectl put "/users/user1" "zs"
        OK
        $ leasectl put "/users/user2" "ls"
        OK
        $ leasectl get "/users/" --prefix
        /users/user1
        zs
        /users/user2
        ls
        $ leasectl del "/users/user1"
        1
        """)
        assert process.stdout is not None
        printed = [process.stdout.readline().decode() for _ in range(9)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=HANG_SECONDS)
    assert (
        "".join(printed) == "PUT\n/users/user1\nzs\nPUT\n/users/user2\nls\nDELETE\n/users/user1\n\n"
    )
    assert process.returncode == 130


def test_a_key_put_again_without_a_lease_is_detached(terminal: Terminal) -> None:
    terminal.type("""
    $ leasectl lease grant 100
    lease <lease> granted with TTL(100s)
    $ leasectl put key01 value01 --lease=<lease>
    OK
    $ leasectl put key01 value02
    OK
    $ leasectl lease timetolive <lease> --keys
    lease <lease> granted with TTL(100s), remaining(<N>s), attached keys([])
    $ leasectl lease revoke <lease>
    lease <lease> revoked
    $ leasectl get key01
    key01
    value02
    """)


PROGRAM = """
import os
from cluster import Client

with Client(os.environ["LEASECTL_ENDPOINTS"].split(","), dial_timeout=5) as client:
    client.put("/users/user1", "zhangsan")
    r = client.put("/users/user2", "lisi", prev_kv=True)
    assert r.prev_kv is None and r.header.revision > 1
    r = client.put("/users/user2", "wangwu", prev_kv=True)
    print(r.prev_kv.value)
    lease = client.lease.grant(0.5)
    with client.watch("test4") as watch:
        client.put("test4", "lease", lease=lease.id)
        for event in watch:
            print(event.type, event.kv.key, event.kv.value, event.reason)
            if event.type == "DELETE":
                break
    print(client.get("test4"))
"""


def test_a_program_does_the_same(terminal: Terminal) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=False,
        env=terminal.environment,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [
        "b'lisi'",
        "PUT b'test4' b'lease' ",
        "DELETE b'test4' b'' lease expired",
        "None",
    ]


def test_any_one_endpoint_is_enough(running: LocalCluster, client: Client) -> None:
    client.put("k", "v")
    for endpoint in running.endpoints:
        mixed = Terminal(["127.0.0.1:1", endpoint])
        mixed.type("""
        $ leasectl get k
        k
        v
        """)
