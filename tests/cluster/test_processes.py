"""How the processes of a process are found."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cluster.processes import descendants


def test_the_processes_of_a_process_are_found() -> None:
    assert os.getpid() in descendants(os.getppid())
    assert sys.maxsize not in descendants(os.getppid())


@pytest.mark.process
def test_a_process_that_has_ended_is_not_found() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert ended.pid not in descendants(os.getpid())
