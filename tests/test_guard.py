"""However a run of the tests ends, nothing that it started goes on."""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.launcher.local import IMPORT_ROOT
from tests.limits import HANG_MS, HANG_SECONDS

pytestmark = pytest.mark.process

STARTED = "started"

WORKING = """
import multiprocessing, signal
from concurrent.futures import ProcessPoolExecutor
from tests.guard import end_all_with_this_process

if __name__ == "__main__":
    end_all_with_this_process()
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    print(pool.submit(multiprocessing.process.os.getpid).result(), flush=True)
    signal.pause()
"""
"""A program that works with processes, which do not end when it is killed."""

HANGING_TEST = """
import signal, subprocess, sys
from contextlib import ExitStack
from cluster.launcher.local import LocalCluster

def test_that_hangs():
    with ExitStack() as ending:
        def start(*command):
            pipes = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            process = subprocess.Popen([sys.executable, *command], start_new_session=True, **pipes)
            ending.callback(process.kill)
            return process

        deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
        program = start("{program}")
        helper = start("-c", deaf)
        cluster = ending.enter_context(LocalCluster(1))
        tool = start("-m", "cluster.cli", "watch", "k", "--endpoints", cluster.endpoints[0])
        worker = int(program.stdout.readline())
        node = cluster.node("n1").pid
        print("{started}", helper.pid, tool.pid, program.pid, worker, node, flush=True)
        while True:
            signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGALRM])
def test_nothing_outlives_a_run_of_the_tests(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "test_hanging.py"
    program = tmp_path / "working.py"
    program.write_text(WORKING)
    path.write_text(HANGING_TEST.format(started=STARTED, program=program))
    # A time limit is a signal, which is given here: not by a clock.
    options = ["-s", "-p", "tests.conftest", f"--timeout={10 * HANG_SECONDS}"]
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, f"--rootdir={tmp_path}", str(path)],
        cwd=IMPORT_ROOT,
        env={**os.environ, "PYTHONPATH": str(IMPORT_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        pidfds = _pidfds_of(run)
        run.send_signal(number)
        left = [pid for pid, pidfd in pidfds.items() if not _ends(pidfd)]
        output, _ = run.communicate(timeout=HANG_SECONDS)
    assert not left
    assert run.returncode, output


def _pidfds_of(run: subprocess.Popen[str]) -> dict[int, int]:
    """What the run has started, once it says so."""
    assert run.stdout is not None
    said = []
    for line in run.stdout:
        said.append(line)
        _, found, pids = line.partition(STARTED)
        if found:
            return {pid: os.pidfd_open(pid) for pid in map(int, pids.split())}
    raise AssertionError("".join(said))


def _ends(pidfd: int) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    ended = bool(poller.poll(HANG_MS))
    os.close(pidfd)
    return ended


SIGNALS_TEST = """
import subprocess, sys

def test_signals():
    code = "import signal; print([signal.getsignal(n) is signal.SIG_IGN for n in (1, 2, 3)])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert printed == "[False, False, False]\\n"
"""


def test_what_tests_start_hears_signals_though_the_run_itself_was_told_to_ignore_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "test_signals.py"
    path.write_text(SIGNALS_TEST)
    pytest_options = ["-p", "tests.conftest", f"--rootdir={tmp_path}"]
    command = [sys.executable, "-m", "pytest", *pytest_options, str(path)]
    ignoring = f"trap '' HUP INT QUIT; exec {shlex.join(command)}"  # as nohup and a script's & do
    ended = subprocess.run(
        ["sh", "-c", ignoring], cwd=IMPORT_ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout
