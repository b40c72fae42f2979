"""The node's end of the control: the connection to the test, and the plan that it was told.

The node connects to the Unix socket that a test listens on, says its name, and lives under the plan
it is told: one line of JSON each, the whole plan every time. It reports, once per plan and kind,
that a fault took effect - before it does, for some are the end of the process.
"""

from __future__ import annotations

import json
import logging
import os
import random
import socket
import threading
from contextlib import suppress
from typing import Any

from tests.chaos.plans import LINE_BYTES_MAX, Plan, plan_of

log = logging.getLogger("leasehold.faults")


class FaultControl:
    """The connection to the test, and the present plan, which may be read by any thread."""

    def __init__(self, path: str, name: str) -> None:
        self._live_by(Plan())
        self.is_recording = False
        self.chance = random.Random(f"{path} {name} {os.getpid()}")
        self._reporting = threading.Lock()
        self._reported: set[str] = set()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(path)
        self._tell({"hello": name, "pid": os.getpid()})
        self._lines = self._socket.makefile("rb")
        # The first plan holds from the first effect on: a cut is not healed by a restart.
        self._read_plan()
        threading.Thread(target=self._follow, name="faults", daemon=True).start()

    def took_effect(self, kind: str) -> None:
        """Report that a fault of this kind is taking effect, once per plan."""
        with self._reporting:
            if kind not in self._reported:
                self._reported.add(kind)
                log.warning("planned fault: %s", kind)
                self._tell({"effect": kind, "plan": self.plan.number})

    def _follow(self) -> None:
        while self._read_plan():
            pass
        self._live_by(Plan())

    def _live_by(self, plan: Plan) -> None:
        self.plan, self.link_plan = plan, plan.links

    def _read_plan(self) -> bool:
        line = self._lines.readline(LINE_BYTES_MAX)
        if not line:
            return False
        with self._reporting:
            self._live_by(plan_of(json.loads(line)))
            self._reported.clear()
            self._tell({"plan": self.plan.number})
        return True

    def _tell(self, report: dict[str, Any]) -> None:
        with suppress(OSError):  # the test is gone, and this process soon will be
            self._socket.sendall(json.dumps(report).encode() + b"\n")
