"""Commands from another terminal: over a real socket, with a main loop that the test turns."""

from __future__ import annotations

import json
import os
import select
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.launcher.commands import caller, ctl
from cluster.launcher.commands.ctl import CtlServer
from cluster.launcher.commands.desk import Asker
from cluster.launcher.nodes.files import DataDirectory
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.story.journal import Journal
from tests.limits import HANG_MS, HANG_SECONDS


class Loop:
    """A main loop with nothing but the server. It keeps what was asked, and by whom."""

    def __init__(self, directory: Path) -> None:
        self.journal = Journal()
        self.asked: list[tuple[str, Asker]] = []
        self.server = CtlServer(
            directory, self.journal, lambda line, asker: self.asked.append((line, asker))
        )

    def turn(self) -> None:
        """Wait for something to read, and serve it."""
        poller = select.poll()
        for fd in self.server.fds():
            poller.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poller.poll(HANG_MS)}
        assert ready, "nothing came"
        self.server.serve(ready, 0.0)

    def wait(self, count: int) -> tuple[str, Asker]:
        """Turn until so many lines were asked; the last one."""
        while len(self.asked) < count:
            self.turn()
        return self.asked[count - 1]


class Terminal(threading.Thread):
    """Another terminal: does one command, and keeps what it is shown."""

    def __init__(self, directory: Path, line: str) -> None:
        super().__init__(daemon=True)
        self.shown: list[dict[str, Any]] = []
        self.error: str | None = None
        self._directory, self._line = directory, line
        self.start()

    def run(self) -> None:
        self.error = caller.ask(self._directory, self._line, self.shown.append)

    def end(self) -> str | None:
        """Wait for the end; the error."""
        self.join(HANG_SECONDS)
        assert not self.is_alive()
        return self.error


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path)
    yield made
    made.server.close()


def test_a_command_is_answered_to_whoever_asked(loop: Loop, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "kill 'n 1'")
    line, asker = loop.wait(1)
    assert (line, asker.via) == ("kill 'n 1'", "ctl")
    loop.journal.tell("command", "kill n1", line="kill n1", via="ctl")  # known already
    loop.journal.tell("died", "n1 was killed", victim="n1")
    asker.say("one\ntwo")
    asker.done()
    loop.journal.tell("died", "later", victim="n2")
    assert terminal.end() == ""
    told, said = terminal.shown
    assert (told["told"]["text"], said) == ("n1 was killed", {"say": "one\ntwo"})


def test_a_refusal_is_the_error_of_the_command(loop: Loop, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "kill n9")
    loop.wait(1)[1].done("there is no node n9")
    assert terminal.end() == "there is no node n9"
    assert terminal.shown == []


def test_a_launcher_that_ends_before_its_answer_is_told(loop: Loop, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "watch key")
    loop.wait(1)[1].say("watching")
    loop.server.close()
    assert terminal.end() == "the launcher has ended before it answered"
    assert terminal.shown == [{"say": "watching"}]


def test_without_a_launcher_that_is_said(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "none"):
        with pytest.raises(LauncherError, match=f"no launcher runs in {directory}: start one"):
            caller.connect(directory)


def test_a_launcher_that_has_not_opened_its_socket_yet_is_told_from_none(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    with pytest.raises(LauncherError, match=rf"\(pid {os.getpid()}\) has not started its cluster"):
        caller.connect(tmp_path)
    directory.release()
    with pytest.raises(LauncherError, match="no launcher runs in"):
        caller.connect(tmp_path)


def test_the_launcher_is_found_in_the_usual_directory_or_the_only_temporary_one(
    tmp_path: Path,
) -> None:
    usual, one, two = (tmp_path / name for name in ("usual", "one", "two"))
    for each in (usual, one, two):
        each.mkdir()
    assert caller.launcher_directory(None, str(usual), [one, two]) == usual  # to say it of this one
    loops = [Loop(one)]
    assert caller.launcher_directory(None, str(usual), [one, two]) == one
    assert caller.launcher_directory(str(two), str(usual), [one, two]) == two
    loops.append(Loop(two))
    with pytest.raises(LauncherError, match=f"several launchers run, .*: {one}, {two}"):
        caller.launcher_directory(None, str(usual), [one, two])
    loops.append(Loop(usual))
    assert caller.launcher_directory(None, str(usual), [one, two]) == usual
    for loop in loops:
        loop.server.close()


def test_the_socket_is_for_its_owner_and_replaces_that_of_a_killed_launcher(
    tmp_path: Path,
) -> None:
    deep = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    Loop(deep)  # never closed: its socket stays
    loop = Loop(deep)
    mode = (deep / caller.SOCKET).stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    terminal = Terminal(deep, "ls")
    loop.wait(1)[1].done()
    assert terminal.end() == ""
    loop.server.close()
    assert not (deep / caller.SOCKET).exists()


def test_a_terminal_that_goes_away_is_noticed(loop: Loop, tmp_path: Path) -> None:
    with caller.connect(tmp_path) as connection:
        connection.sendall(b'{"line": "watch key"}\n')
        _, asker = loop.wait(1)
        assert asker.is_there
    loop.turn()
    assert not asker.is_there
    assert len(list(loop.server.fds())) == 1


def test_a_terminal_that_reads_nothing_is_given_up(loop: Loop, tmp_path: Path) -> None:
    with caller.connect(tmp_path) as connection:
        connection.sendall(b'{"line": "logs n1 -f"}\n')
        _, asker = loop.wait(1)
        for _ in range(ctl.WAITING_BYTES_MAX // 2**16 + 100):
            asker.say("x" * 2**16)
        assert not asker.is_there


@pytest.mark.parametrize(
    "sent", [b"kill n1\n", b"[]\n", b'{"line": 7}\n', b'{"line"\n', b"\xff\n", b"null\n"]
)
def test_what_is_no_command_is_answered(loop: Loop, tmp_path: Path, sent: bytes) -> None:
    with caller.connect(tmp_path) as connection:
        connection.sendall(sent)
        connection.settimeout(HANG_SECONDS)
        loop.turn()
        loop.turn()
        answer = json.loads(connection.recv(4096))
    assert answer == {"done": "this is not a command of run_cluster.py ctl"}
    assert loop.asked == []


def test_a_line_without_end_is_not_read_for_ever(loop: Loop, tmp_path: Path) -> None:
    with caller.connect(tmp_path) as connection:
        loop.turn()
        connection.setblocking(False)
        sent = 0
        while len(list(loop.server.fds())) > 1:
            try:
                sent += connection.send(b"x" * 65_536)
            except BlockingIOError:
                loop.turn()
            except OSError:
                break
        assert sent <= ctl.LINE_BYTES_MAX + 2 * os.sysconf("SC_PAGE_SIZE") + 1_000_000


def test_a_second_line_waits_for_nothing(loop: Loop, tmp_path: Path) -> None:
    with caller.connect(tmp_path) as connection:
        connection.sendall(b'{"line": "ls"}\n')
        _, asker = loop.wait(1)
        connection.sendall(b'{"line": "kill n1"}\n')
        loop.turn()
        asker.done()
        connection.settimeout(HANG_SECONDS)
        assert json.loads(connection.recv(4096)) == {"done": ""}
        connection.shutdown(socket.SHUT_WR)
    assert len(loop.asked) == 1


def test_a_command_for_a_running_launcher_keeps_its_own_flags() -> None:
    assert caller.parse(["kill", "leader"]) == caller.CtlOptions(None, False, "kill leader")
    assert caller.parse(["--json", "--data-dir", "d", "logs", "n1", "-n", "3", "--data-dir"]) == (
        caller.CtlOptions("d", True, "logs n1 -n 3 --data-dir")
    )
    assert caller.parse(["put", "a key", "|"]) == caller.CtlOptions(None, False, "put 'a key' '|'")
    assert caller.parse(["partition n1 | n2"]) == caller.CtlOptions(
        None, False, "partition n1 | n2"
    )
