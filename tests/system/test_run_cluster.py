"""`run_cluster.py` as its user meets it: real nodes, real signals, a real terminal."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgpack
import pytest
import zmq

from cluster.launcher.ports import holder_of, is_free, ports_from
from tests.limits import HANG_MS, HANG_SECONDS
from tests.ports import free_base_port

SCRIPT = Path(__file__).resolve().parents[2] / "run_cluster.py"

IN_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


ESCAPES = re.compile(r"\x1b\[[0-9;?]*(?:[A-Za-z]|$)")
"""What a terminal hears as colours and movements, the last one perhaps not yet whole."""


class Launcher:
    """A running `run_cluster.py`; what it prints is waited for, never slept for."""

    started: ClassVar[list[Launcher]] = []

    def __init__(self, *arguments: str, cwd: Path, terminal: bool = False) -> None:
        command: Sequence[str] = [sys.executable, str(SCRIPT), *arguments]
        if terminal:
            command = [sys.executable, "-c", IN_A_TERMINAL, *command]
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.output = ""
        self._raw = ""
        self._seen = 0
        self.started.append(self)

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until what was printed since the last match has the pattern."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + HANG_SECONDS
        while (found := re.search(pattern, self.output[self._seen :])) is None:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, left))
            data = os.read(self.process.stdout.fileno(), 65_536) if ready else b""
            assert data, f"no {pattern!r} in\n{self.output}"
            self._raw += data.decode(errors="replace")
            self.output = ESCAPES.sub("", self._raw)
        self._seen += found.end()
        return found

    def expect_all(self, *patterns: str) -> None:
        """Wait until all of these were printed since the last match, in whatever order."""
        self.expect("(?s)" + "".join(f"(?=.*{pattern})" for pattern in patterns))

    def type(self, text: str) -> None:
        """Write to its stdin, or type at its terminal."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def end(self, number: int | None = signal.SIGINT) -> int:
        """Send a signal if there is one to send, wait for the end; the exit status."""
        if number is not None:
            self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=HANG_SECONDS)
        self.output = ESCAPES.sub("", self._raw + rest.decode())
        return self.process.returncode


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `run_cluster.py` to its end; it finds none of the launchers with temporary data."""
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(cwd)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def works_in(directory: Path, holder: str) -> bool:
    """Whether a port's holder, as `holder_of` tells it, runs in this directory or below it."""
    found = re.search(r"pid (\d+)", holder)
    try:
        at = Path(f"/proc/{found[1]}/cwd").readlink() if found else Path("/")
    except OSError:
        return False  # it has ended
    return at.is_relative_to(directory)


def call(port: int, **request: Any) -> Any:
    """One request over a plain REQ socket, as PROTOCOL.md has it."""
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.linger = 0
        socket.rcvtimeo = HANG_MS
        socket.connect(f"tcp://127.0.0.1:{port}")
        socket.send(msgpack.packb(request))
        return msgpack.unpackb(socket.recv())


@pytest.fixture(autouse=True)
def no_launcher_outlives_its_test() -> Iterator[None]:
    """A test that fails half-way leaves nothing running for those after it."""
    yield
    while Launcher.started:
        process = Launcher.started.pop().process
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def base(tmp_path: Path) -> Iterator[int]:
    """A free base port whose ports are free again afterwards: no node is left behind.

    Another program may have taken one meanwhile, since the system gives some of them to anybody. It
    does not work in this test's directory.
    """
    port = free_base_port()
    yield port
    taken = [one for pair in ports_from(port, 3) for one in pair if not is_free(one)]
    assert [holder_of(one) for one in taken if works_in(tmp_path, holder_of(one))] == []


def test_a_node_that_is_left_behind_is_noticed(tmp_path: Path) -> None:
    program = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1])"
    waits = [sys.executable, "-uc", f"{program}; input()"]
    with subprocess.Popen(
        waits, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as left:
        assert left.stdin is not None and left.stdout is not None
        holder = holder_of(int(left.stdout.readline()))
        assert works_in(tmp_path, holder)
        assert not works_in(tmp_path / "elsewhere", holder)
        left.stdin.close()
    assert not works_in(tmp_path, "")


def test_a_kill_from_outside_is_told_and_mended_and_the_data_lives_on(
    tmp_path: Path, base: int
) -> None:
    ports = ports_from(base, 3)
    launcher = Launcher("--base-port", str(base), cwd=tmp_path)
    endpoints = ",".join(f"127.0.0.1:{pair.client}" for pair in ports)
    launcher.expect(rf"3 nodes, ready in .*, data in cluster-data\n(.*\n)*.*={endpoints}\n")
    name, pid = launcher.expect(r"(n\d) .* pid (\d+) +leader +kill -9 \2").groups()
    assert "error" not in call(ports[0].client, op="put", key="before", value="kept")
    os.kill(int(pid), signal.SIGKILL)
    launcher.expect(rf"{name} \(leader, pid {pid}\) was killed by SIGKILL")
    found = launcher.expect(r"(n\d) leads now \(term \d+\)")
    assert found[1] != name
    launcher.expect(rf"#1 {name} \(leader\) was killed by SIGKILL: {found[1]} leads now")
    launcher.expect(r"no writes for [\d.]+ m?s, no reads for [\d.]+ m?s, watch silent for")
    launcher.expect(r"0 lost, 0 doubled; linearizable; leases: \d kept, 0 lost")
    launcher.type(f"restart {name}\n")
    launcher.expect(rf"{name} is back after .*: 3 of 3 nodes run")
    killed = run("ctl", "kill", "LEADER", cwd=tmp_path)
    assert (killed.returncode, killed.stderr) == (0, "")
    assert re.match(rf"{found[1]} \(leader, pid \d+\) was killed by SIGKILL\n", killed.stdout)
    launcher.expect(rf"{found[1]} \(leader, pid \d+\) was killed by SIGKILL")
    twice = run("ctl", "kill", found[1], cwd=tmp_path)
    assert (twice.returncode, twice.stdout) == (1, "")
    assert twice.stderr == (
        f"run_cluster.py ctl: {found[1]} already was killed by SIGKILL: start {found[1]} brings it"
        " back\n"
    )
    assert run("ctl", "start", "all", cwd=tmp_path).returncode == 0
    assert launcher.end(signal.SIGINT) == 0
    assert "stopping; data is kept" in launcher.output
    nobody = run("ctl", "ls", cwd=tmp_path)
    assert nobody.stderr.startswith("run_cluster.py ctl: no launcher runs in cluster-data: start")
    again = Launcher("--base-port", str(base), cwd=tmp_path)
    again.expect("kill -9")
    for pair in ports:
        (kept,) = call(pair.client, op="range", key="before")["kvs"]
        assert kept["value"] == b"kept"
    assert again.end(signal.SIGTERM) == 0


def test_restart_is_by_itself_if_so_wished(tmp_path: Path, base: int) -> None:
    launcher = Launcher("--restart", "--ephemeral", "--base-port", str(base), cwd=tmp_path)
    pid = int(launcher.expect(r"pid (\d+) +follower")[1])
    os.kill(pid, signal.SIGKILL)
    # The story is told in the order of time, and what is measured when it is known.
    launcher.expect_all(
        rf"n\d \(pid {pid}\) was killed by SIGKILL",
        r"n\d will be started again in 1\.0 s",
        r"#1 n\d was killed by SIGKILL",
        r"n\d is back after",
    )
    launcher.type("quit\n")
    assert launcher.end(None) == 0
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_there_is_a_table_and_a_prompt(tmp_path: Path, base: int) -> None:
    launcher = Launcher("--base-port", str(base), cwd=tmp_path, terminal=True)
    launcher.expect(r"node +state +term +commit")
    launcher.expect("leasehold> ")
    launcher.type("kill leader\r")
    launcher.expect(r"\(leader, pid \d+\) was killed by SIGKILL")
    launcher.expect(r"no writes for")
    launcher.expect(r"n\d +killed")
    launcher.type("\x03")
    launcher.expect("stopping; data is kept")
    assert launcher.end(None) == 0
    assert max(len(line) for line in re.split(r"[\r\n]+", launcher.output)) <= 80


def test_as_json_there_is_the_whole_session_from_the_first_start_on(
    tmp_path: Path, base: int
) -> None:
    where = ("--ephemeral", "--base-port", str(base))
    launcher = Launcher("-n", "1", "--json", *where, cwd=tmp_path)
    launcher.expect(r'"kind": "ready"')
    launcher.type("put a 1\n")
    # The launcher's own keys take revisions, too: how many, chance says.
    revision = launcher.expect(r'"kind": "answer".*"OK, revision (\d+),')[1]
    launcher.type("get a\n")
    launcher.expect(rf'"kind": "answer".*"a = 1  \(revision {revision}\b')
    launcher.type("quit\n")
    assert launcher.end(None) == 0
    kinds = [json.loads(line)["kind"] for line in launcher.output.splitlines()]
    assert kinds[0] == "launched" and kinds.index("started") < kinds.index("ready")
    assert kinds.count("command") == 2 and kinds.count("answer") == 3


def test_a_command_runs_against_its_own_cluster_and_gives_its_status(tmp_path: Path) -> None:
    script = (
        "import msgpack, os, sys, zmq\n"
        "endpoints = os.environ['LEASECTL_ENDPOINTS'].split(',')\n"
        "for endpoint in endpoints:\n"
        "    socket = zmq.Context.instance().socket(zmq.REQ)\n"
        "    socket.connect('tcp://' + endpoint)\n"
        "    socket.send(msgpack.packb({'op': 'put', 'key': endpoint, 'value': 'v'}))\n"
        "    assert 'header' in msgpack.unpackb(socket.recv())\n"
        "print(len(endpoints), *sys.argv[1:])\n"
        "sys.exit(7)\n"
    )
    ended = run("-n", "3", "--", sys.executable, "-c", script, "--", "-n", cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "3 -- -n\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "status", "error"),
    [
        (["sh", "-c", "kill -TERM $$"], 143, ""),
        (["no-such-command"], 127, "run_cluster.py: no-such-command: command not found\n"),
    ],
)
def test_a_commands_end_is_told_as_a_shell_tells_it(
    command: list[str], status: int, error: str, tmp_path: Path
) -> None:
    ended = run("-n", "1", "--", *command, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (status, error)


def test_a_directory_or_port_in_use_is_one_line_and_a_failure(tmp_path: Path, base: int) -> None:
    launcher = Launcher("-n", "1", "--base-port", str(base), cwd=tmp_path)
    launcher.expect("kill -9")
    twice = run("-n", "1", "--base-port", str(base), cwd=tmp_path)
    assert (twice.returncode, twice.stdout) == (1, "")
    assert twice.stderr == (
        f"run_cluster.py: data directory cluster-data is in use by pid {launcher.process.pid}\n"
    )
    elsewhere = run("-n", "1", "--base-port", str(base), "--ephemeral", cwd=tmp_path)
    assert (elsewhere.returncode, elsewhere.stdout) == (1, "")
    assert re.fullmatch(
        rf"run_cluster\.py: port {base} is taken by python\S* \(pid \d+\): --base-port \d+ has free"
        r" ones\n",
        elsewhere.stderr,
    )
    assert launcher.end() == 0
    larger = run("-n", "3", cwd=tmp_path)
    assert larger.returncode == 1
    assert larger.stderr == (
        "run_cluster.py: data directory cluster-data holds a cluster of size 1, not 3\n"
    )


def test_a_killed_launcher_leaves_no_node_and_its_directory_usable(
    tmp_path: Path, base: int
) -> None:
    launcher = Launcher("--base-port", str(base), cwd=tmp_path)
    launcher.expect("kill -9")
    assert launcher.end(signal.SIGKILL) == -signal.SIGKILL
    again = Launcher(cwd=tmp_path)
    again.expect(rf"LEASECTL_ENDPOINTS=127\.0\.0\.1:{base},")
    assert again.end() == 0


def test_a_node_with_damaged_data_is_named_with_its_last_words(tmp_path: Path, base: int) -> None:
    launcher = Launcher("-n", "1", "--base-port", str(base), cwd=tmp_path)
    launcher.expect("kill -9")
    assert launcher.end() == 0
    for file in (tmp_path / "cluster-data" / "n1").rglob("*"):
        if file.is_file() and file.name != "lock":
            file.write_bytes(b"damaged" * 1_000)
    ended = run(cwd=tmp_path)
    assert ended.returncode == 1
    assert re.fullmatch(
        r"run_cluster\.py: could not start: n1 exited with status [1-9]\d*: .+\n", ended.stderr
    )


@pytest.mark.parametrize("words", [(), ("--help",), ("tour", "--yes")])
def test_a_python_without_what_it_needs_is_told_in_one_line(words: tuple[str, ...]) -> None:
    # Without the site module there are no installed packages.
    done = subprocess.run(
        [sys.executable, "-S", str(SCRIPT), *words],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        r"run_cluster\.py: .+ has no module \w+: run \.venv/bin/python run_cluster\.py .+\n",
        done.stderr,
    )
