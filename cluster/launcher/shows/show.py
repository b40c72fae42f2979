"""What tour and chaos have in common: a script that does commands, waits, and ends with a verdict.

A script is an errand (`errands.errand`), so the main loop goes on beside it. It does everything as
a user would, and fails at the first thing that is not as it says. This module refuses to know the
scripts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Protocol

from cluster.launcher.commands.jobs import Jobs
from cluster.launcher.errands.errand import (
    FOREVER,
    AbandonedError,
    Ask,
    Errand,
    NoAnswerError,
    OrderRefusedError,
    Until,
)
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.report import reading
from cluster.launcher.story.failover import Failover
from cluster.launcher.story.happenings import Happening
from cluster.launcher.story.journal import Journal

STEP_SECONDS: Final = 120.0
"""What a step waits for must come within this time: it ends a show that hangs, and judges no
cluster for being slow."""

MEND_SECONDS: Final = 30.0
"""A show that ends early waits this long for each thing that it mends."""

MENDS: Final[Mapping[str, str]] = {
    "kill": "start",
    "stop": "start",
    "pause": "resume",
    "isolate": "heal",
    "partition": "heal",
    "slow": "heal",
    "lossy": "heal",
}
"""The commands that do harm, and those that mend it: the same nodes, or all links."""


class ShowError(LauncherError):
    """Something is not as the script says; the message is one line."""


class Listener:
    """Whoever asks for a script's commands: it hears how each ends."""

    is_there = True

    def __init__(self, via: str) -> None:
        self.via = self.conversation = via
        self.is_done = False
        self.error = ""

    def say(self, text: str) -> None:
        """A script does not read answers: it asks the nodes, and reads the journal."""

    def clear(self) -> None:
        """There is no screen."""

    def done(self, error: str = "") -> None:
        """The command has ended, well if the error is empty."""
        self.is_done, self.error = True, error


class Measurer(Protocol):
    """The probe client, which measures what faults cost."""

    @property
    def is_measuring(self) -> bool:
        """Whether a fault is not measured to its end."""


class ShowDesk(Protocol):
    """What a show needs of the desk."""

    @property
    def cluster(self) -> LocalCluster: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def journal(self) -> Journal: ...

    @property
    def leader(self) -> str | None: ...

    @property
    def prober(self) -> Measurer | None: ...

    def obey(self, line: str, asker: Listener) -> None:
        """Do a command; the asker hears of its end."""


class Stage:
    """What a script uses: it tells, acts, asks, waits, and looks back."""

    def __init__(self, desk: ShowDesk, name: str) -> None:
        self.desk = desk
        self.name = name
        self._measured: list[Happening] = []
        self._owed: list[str] = []
        self.entered = False
        self.stopped = False

    # --- tell and check ---

    def tell(self, text: str) -> None:
        """Say this to everybody who watches."""
        self.desk.journal.tell("narrated", text, show=self.name)

    def check(self, holds: bool, otherwise: str) -> None:
        """The show fails with this line unless it holds."""
        if not holds:
            raise ShowError(otherwise)

    # --- act and wait ---

    def do(self, line: str, seconds: float = STEP_SECONDS) -> Errand[int]:
        """Do a command and wait for its end; a mark of the time before it, to look back to.

        The show fails if the command does.
        """
        mark = self.mark
        listener = Listener(self.name)
        owed = self._owed
        # Also if the show ends before the command does.
        self._owed = [*owed, *_mends(line)]
        self.desk.obey(line, listener)
        yield from self.until(lambda: listener.is_done, f"the end of {line}", seconds)
        if listener.error:
            self._owed = owed
        self.check(not listener.error, f"{line}: {listener.error}")
        self._owed = [mend for mend in self._owed if mend != line]
        return mark

    def mend(self) -> Errand[None]:
        """Undo the harm that the script has done and not undone; a refusal is told by the desk."""
        for line in self._owed:
            listener = Listener(self.name)
            self.desk.obey(line, listener)
            yield Until(partial(_is_over, listener, time.monotonic() + MEND_SECONDS), FOREVER, "")

    def until(
        self, holds: Callable[[], bool], what: str, seconds: float = STEP_SECONDS
    ) -> Errand[None]:
        """Wait until something holds; `what` is the end of the sentence "waited for"."""
        yield Until(
            lambda: self.stopped or holds(), seconds, f"waited {seconds:g} s in vain for {what}"
        )
        self.check(not self.stopped, "it was stopped")

    def hold(self, seconds: float) -> Errand[None]:
        """Let this time pass."""
        ends_at = time.monotonic() + seconds
        yield from self.until(lambda: time.monotonic() >= ends_at, "the time", FOREVER)

    def pause(self) -> Errand[None]:
        """Wait for Enter."""
        self.entered = False
        self.tell("(Enter goes on, and so does tour next)")
        yield from self.until(lambda: self.entered, "Enter", FOREVER)

    def ask(
        self, node: str, request: Mapping[str, Any], seconds: float = STEP_SECONDS
    ) -> Errand[Any]:
        """A node's reply to a request; the show fails if it refuses or does not answer."""
        return (yield Ask(node, request, seconds))

    def refusal(self, node: str, request: Mapping[str, Any], seconds: float) -> Errand[str]:
        """Why a node does not do this: its error, or that it does not answer; empty if it does."""
        try:
            yield Ask(node, request, seconds)
        except (OrderRefusedError, NoAnswerError) as error:
            return str(error)
        return ""

    # --- the leader ---

    def leader(self) -> str:
        """The node that leads; the show fails if none is known just now."""
        leader = self.desk.leader
        if leader is None:
            raise ShowError("no leader is known just now")
        return leader

    def is_agreed(self) -> bool:
        """Whether every running member names the one leader."""
        statuses = [node.status for node in self.desk.cluster.running_members]
        leaders = {status.leader if status is not None else 0 for status in statuses}
        return self.desk.leader is not None and len(leaders) == 1 and leaders != {0}

    def until_another_leads(self, before: str) -> Errand[None]:
        """Wait for another leader than this node."""
        yield from self.until(
            lambda: self.desk.leader not in {None, before}, f"another leader than {before}"
        )

    # --- look back ---

    @property
    def mark(self) -> int:
        """A mark of this moment: how many fail-overs were told."""
        return len(self._measured)

    def failovers(self, mark: int = 0) -> list[Failover]:
        """The fail-overs that were measured since a mark; of each the latest word."""
        return reading.failovers(self._measured[mark:])

    def read(self, happening: Happening) -> None:
        """A reader of the journal. It keeps little: chaos may last for a day."""
        if happening.kind == "failover":
            self._measured.append(happening)


class Shows:
    """The show under way, of which there is one at most."""

    def __init__(self) -> None:
        self._stage: Stage | None = None

    def enter(self) -> None:
        """The user has pressed Enter, or means that."""
        if self._stage is not None:
            self._stage.entered = True

    def stop(self) -> None:
        """End the show under way soon; LauncherError if there is none."""
        if self._stage is None:
            raise LauncherError("neither a tour nor chaos is under way")
        self._stage.stopped = True

    def begin(
        self, desk: ShowDesk, name: str, script: Callable[[Stage], Errand[str]]
    ) -> Errand[None]:
        """The errand of a show; LauncherError if another one is under way."""
        if self._stage is not None:
            raise LauncherError(f"{self._stage.name} is under way: {self._stage.name} stop ends it")
        return self._run(Stage(desk, name), script)

    def _run(self, stage: Stage, script: Callable[[Stage], Errand[str]]) -> Errand[None]:
        """Do the script, and tell the verdict, which is also how the errand ends."""
        with self._on(stage):
            try:
                why = yield from script(stage)
            except LauncherError as error:
                if not isinstance(error, AbandonedError):
                    yield from stage.mend()
                _judge(stage, False, str(error))
                raise LauncherError(f"{stage.name} has not passed") from None
            _judge(stage, True, why)

    @contextmanager
    def _on(self, stage: Stage) -> Iterator[None]:
        self._stage = stage
        forget = stage.desk.journal.read_by(stage.read)
        try:
            yield
        finally:
            forget()
            self._stage = None


def _mends(line: str) -> list[str]:
    """The command, if any, that undoes this one."""
    verb, _, nodes = line.partition(" ")
    mend = MENDS.get(verb)
    if mend is None or mend == "heal":
        return [mend] if mend else []
    return [f"{mend} {nodes}"]


def _is_over(listener: Listener, ends_at: float) -> bool:
    return listener.is_done or time.monotonic() >= ends_at


def _judge(stage: Stage, passed: bool, why: str) -> None:
    if stage.stopped and not passed:
        text = f"{stage.name} was stopped before its end"
    else:
        text = f"{stage.name} {'passed' if passed else 'failed'}: {why}"
    stage.desk.journal.tell("verdict", text, passed=passed, why=why)
