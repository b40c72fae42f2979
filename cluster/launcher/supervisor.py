"""Supervisor: the main loop while a cluster runs. It watches the nodes, and obeys the user.

The kernel reports each death and each pause, also those that somebody else caused. Everything that
happens goes into the cluster's journal, and all that shows something reads it there. One thread;
everything that is served beside the nodes is a LoopPart.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Set
from typing import Final

import zmq

from cluster.launcher.commands.desk import Asker, Desk, LoopPart
from cluster.launcher.commands.jobs import Jobs
from cluster.launcher.commands.table import read_line
from cluster.launcher.local import LocalCluster
from cluster.launcher.naming import ENDED
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.nodes.node import NodeProcess
from cluster.launcher.nodes.probe import NodeStatus, OrderAnswered
from cluster.launcher.screens.asking import Asking
from cluster.launcher.screens.view import ClusterView, Screen, view_of
from cluster.launcher.secure.refusals import explained
from cluster.launcher.signals import STOPPING, Signals
from cluster.launcher.story.durations import duration
from cluster.launcher.story.telling import Storyteller
from cluster.launcher.task import Task

STATUS_SECONDS: Final = 0.2
STATUS_SECONDS_UNSURE: Final = 0.05
"""How often nodes are asked for their status: normally, and while something is not as it should
be."""

SHOW_SECONDS: Final = 0.2
"""How often the screen is drawn."""

SLEPT_SECONDS: Final = 0.5
"""If the loop goes on so much later than it should, the launcher itself did not run meanwhile."""

RESTART_SECONDS: Final = 1.0
RESTART_SECONDS_MAX: Final = 30.0
SHORT_LIFE_SECONDS: Final = 10.0
"""--restart starts a dead node again after RESTART_SECONDS. The delay doubles, up to the maximum,
each time the node dies within SHORT_LIFE_SECONDS of its start."""


class Supervisor:
    """Runs until the user quits, a stopping signal comes, or the task (if any) has ended."""

    def __init__(
        self,
        cluster: LocalCluster,
        screen: Screen,
        signals: Signals,
        *,
        restart: bool = False,
        task: Task | None = None,
    ) -> None:
        self.cluster = cluster
        self.journal = cluster.journal
        self.parts: list[LoopPart] = [Storyteller(cluster.journal)]
        self._screen = screen
        self._signals = signals
        self._restart = restart
        self._task = task
        self._finished = False
        self._leader: str | None = None
        self._term = 0
        self._jobs = Jobs()
        self._asking = Asking()
        self.desk = Desk(cluster, self._jobs, self.view, self.obey, self.finish)
        self.parts.append(self.desk.load)
        self._restart_at: dict[str, float] = {}
        self._restart_delay: dict[str, float] = {}
        self._status_due = 0.0
        self._show_due = 0.0
        self._went_on_at = time.monotonic()

    def run(self, leader: str) -> None:
        """Watch a cluster that is ready and led by `leader`."""
        status = self.cluster.node(leader).status
        self._leader, self._term = leader, status.term if status is not None else 0
        self._went_on_at = time.monotonic()
        forget = self.journal.read_by(self._screen.tell)
        try:
            while not self._finished:
                ready = self._wait()
                self._turn(ready, time.monotonic())
        finally:
            forget()
            for part in self.parts:
                part.close()
            self._jobs.close()

    def view(self, now: float) -> ClusterView:
        """The cluster at `now`, as far as it is known."""
        return view_of(self.cluster, self._leader, now, self._asking.vitals)

    def finish(self) -> None:
        """End the loop soon: the user has seen enough."""
        self._finished = True

    def obey(self, line: str, asker: Asker) -> None:
        """Do a command, at once or bit by bit; `asker` hears of its end."""
        try:
            typed = read_line(line)
            if typed is None:
                self.desk.shows.enter()
                asker.done()
                return
            command, words = typed
            if command.changes:
                self.journal.tell("command", line, line=line, via=asker.via)
            errand = command.run(self.desk.asked_by(asker), words)
        except LauncherError as error:
            self._refuse(line, asker, error)
            return
        if errand is None:
            asker.done()
            return

        def ended(_: object, error: LauncherError | None) -> None:
            if error is None:
                asker.done()
            else:
                self._refuse(line, asker, error)

        self._status_due = self._show_due = 0.0
        self.cluster.errands.begin(errand, ended)

    # --- the loop ---

    def _turn(self, ready: Set[int], now: float) -> None:
        if self._signals.fd in ready:
            self._take_signals()
        if self._task is not None and self._task.reap():
            self._finished = True
        for node in self.cluster.reap():
            self._on_death(node)
        for node, answer in self.cluster.take_answers():
            if isinstance(answer, NodeStatus):
                self._restart_at.pop(node.name, None)  # somebody has started it
            elif isinstance(answer, OrderAnswered):
                self._asking.answered(node.name, answer, time.monotonic())
        self._notice_leader()
        if self._screen.input_fd() in ready:
            for line in self._screen.typed():
                self.obey(line, PromptAsker(self._screen))
        self._jobs.deliver()
        for part in self.parts:
            part.serve(ready, now)
        self.cluster.errands.tick(time.monotonic())
        self._do_what_is_due(time.monotonic())

    def _wait(self) -> set[int]:
        """Wait for the next thing to do; the readable descriptors."""
        poller = zmq.Poller()
        fds = [self._signals.fd, self._screen.input_fd(), self._jobs.fd]
        if self._task is not None:
            fds.append(self._task.pidfd)
        for part in self.parts:
            fds += part.fds()
        for fd in fds:
            if fd is not None:
                poller.register(fd, zmq.POLLIN)
        self.cluster.wake_at_nodes(poller)
        for node in self.cluster.running:
            if node.channel_fd >= 0:
                poller.register(node.channel_fd, zmq.POLLIN)
        before = time.monotonic()
        seconds = max(0.0, self._due() - before)
        found = poller.poll(int(seconds * 1000 + 0.999))
        self._notice_sleep(before, seconds)
        return {fd for fd, _ in found if isinstance(fd, int)}

    def _due(self) -> float:
        due = [self._status_due, self._show_due, self._asking.due, self.cluster.errands.due]
        return min(*due, *self._restart_at.values(), *(part.due for part in self.parts))

    def _notice_sleep(self, before: float, seconds: float) -> None:
        """Notice that this process itself did not run: stopped by Ctrl-Z, or on a stalled host."""
        now = time.monotonic()
        late = max(now - before - seconds, before - self._went_on_at)
        self._went_on_at = now
        if late > SLEPT_SECONDS:
            self.cluster.awake_since = now
            text = f"the launcher itself did not run for {duration(late)}: no node is to blame"
            self.journal.tell("slept", text, took_ms=round(late * 1000))

    def _do_what_is_due(self, now: float) -> None:
        if now >= self._status_due:
            self._status_due = now + self._status_interval()
            self.cluster.ask_status()
        for name in [name for name, at in self._restart_at.items() if now >= at]:
            del self._restart_at[name]
            if ENDED.holds(self.cluster.node(name)):
                self.cluster.launch_node(name)
        if now >= self._asking.due:
            links = {node.name: node.link for node in self.cluster.running if node.link is not None}
            self._asking.ask(links, now)
        if now >= self._show_due:
            self._show_due = now + SHOW_SECONDS
            self._screen.show(self.view(now))

    def _status_interval(self) -> float:
        joining = any(node.is_joining for node in self.cluster.running)
        unsure = joining or not self._leader or self.cluster.errands.are_awaited
        return STATUS_SECONDS_UNSURE if unsure else STATUS_SECONDS

    # --- what nodes do: answer, lead, end ---

    def _notice_leader(self) -> None:
        leader = self.cluster.heard_leader
        status = self.cluster.node(leader).status if leader is not None else None
        term = status.term if status is not None else self._term
        if (leader, term) == (self._leader, self._term):
            return
        if leader != self._leader:
            text = f"{leader} leads now (term {term})" if leader else "no leader"
            self.journal.tell("leader", text, leader=leader, term=term)
        self._leader, self._term = leader, term
        self._show_due = 0.0

    def _on_death(self, node: NodeProcess) -> None:
        self._asking.forget(node.name)
        self._status_due = self._show_due = 0.0
        if node.name == self._leader:
            self._leader = None
        if not self._restart or node.end_is_meant or node.is_removed:
            return
        young = node.died_at - node.started_at < SHORT_LIFE_SECONDS
        delay = self._restart_delay.get(node.name, 0.0) * 2 if young else 0.0
        delay = min(max(delay, RESTART_SECONDS), RESTART_SECONDS_MAX)
        self._restart_delay[node.name] = delay
        self._restart_at[node.name] = node.died_at + delay
        text = f"{node.name} will be started again in {duration(delay)}"
        self.journal.tell("progress", text, what="restart", victim=node.name, done=0, total=1)

    # --- what the user does ---

    def _take_signals(self) -> None:
        for number in self._signals.take():
            if number in STOPPING:
                self._finished = self._task is None or not self._task.interrupt(number)
            elif number == signal.SIGCONT:
                self._screen.wake()
            elif number == signal.SIGWINCH:
                self._show_due = 0.0

    def _refuse(self, line: str, asker: Asker, error: LauncherError) -> None:
        why = explained(str(error))
        asker.done(why)
        text = why if asker.via == "prompt" else f"{line}: {why}"
        self.journal.tell("refused", text, line=line, why=why, via=asker.via)


class PromptAsker:
    """Whoever types at the screen. Refusals are not said again: the screen shows the journal."""

    via = conversation = "prompt"
    is_there = True

    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    def say(self, text: str) -> None:
        """Answer."""
        self._screen.say(text)

    def clear(self) -> None:
        """Empty the screen."""
        self._screen.clear()

    def done(self, error: str = "") -> None:
        """The journal tells it."""
