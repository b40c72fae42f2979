"""Supervisor: watches a local cluster, reports what happens, and does what the user types.

The kernel reports each death (by a pidfd), also one that somebody else caused. From the death on,
the supervisor measures the time until a write is acknowledged again. It owns the main loop of the
launcher and refuses to print: a Screen does that.
"""

from __future__ import annotations

import signal
import time
from typing import Final

import zmq

from cluster.launcher.layout import LauncherError
from cluster.launcher.local import LocalCluster
from cluster.launcher.node import EXIT_REMOVED, NodeProcess
from cluster.launcher.orders import Orders
from cluster.launcher.outage import HandOverPause, Outage, duration
from cluster.launcher.probe import NodeStatus, OrderAnswered
from cluster.launcher.processes import leader_among
from cluster.launcher.screens.view import HELP, Screen, is_silent, view_of
from cluster.launcher.signals import STOPPING, Signals
from cluster.launcher.task import Task

STATUS_SECONDS: Final = 0.2
STATUS_SECONDS_UNSURE: Final = 0.05
STATUS_SECONDS_URGENT: Final = 0.01
"""How often nodes are asked for their status: normally, while something is not as it should be,
and while a fail-over is measured."""

WRITE_SECONDS: Final = 0.002
WRITE_SECONDS_LATER: Final = 0.025
WRITE_URGENT_SECONDS: Final = 0.5
"""A write is tried every WRITE_SECONDS after a death, and after WRITE_URGENT_SECONDS without an
answer every WRITE_SECONDS_LATER."""

SHOW_SECONDS: Final = 0.2
"""How often the screen is drawn."""

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
        self._screen = screen
        self._signals = signals
        self._restart = restart
        self._task = task
        self._finished = False
        self._leader: str | None = None
        self._term = 0
        self._outage: Outage | None = None
        self._hand_over: HandOverPause | None = None
        self._orders = Orders(cluster, screen.say)
        self._known = set(cluster.nodes)
        self._returning: set[str] = set()
        self._meant_to_stop: set[str] = set()
        self._start_again: set[str] = set()
        self._restart_at: dict[str, float] = {}
        self._restart_delay: dict[str, float] = {}
        self._status_due = 0.0
        self._write_due = 0.0
        self._show_due = 0.0

    def run(self, leader: str) -> None:
        """Watch a cluster that is ready and led by `leader`."""
        self._leader = leader
        leading = self.cluster.node(leader).status
        self._term = leading.term if leading is not None else 0
        for node in self.cluster.members:
            if not node.running:
                self._on_death(node)  # it died after the cluster was found ready
        while not self._finished:
            ready = self._wait()
            now = time.monotonic()
            if self._signals.fd in ready:
                self._take_signals()
            if self._task is not None and self._task.reap():
                self._finished = True
            for node in self.cluster.reap():
                self._on_death(node)
            self._take_answers()
            self._notice_leader()
            if self._screen.input_fd() in ready:
                for line in self._screen.typed():
                    self._obey(line)
            self._do_what_is_due(now)

    # --- waiting ---

    def _wait(self) -> set[int]:
        """Wait for the next thing to do; the ready descriptors of signals, input and task."""
        poller = zmq.Poller()
        fds = [self._signals.fd, self._screen.input_fd()]
        if self._task is not None:
            fds.append(self._task.pidfd)
        for fd in fds:
            if fd is not None:
                poller.register(fd, zmq.POLLIN)
        for node in self.cluster.running:
            poller.register(node.pidfd, zmq.POLLIN)
            if node.link is not None:
                poller.register(node.link.socket, zmq.POLLIN)
        due = [self._status_due, self._orders.due, *self._restart_at.values()]
        if not self._is_measuring(time.monotonic()):
            due.append(self._show_due)
        if self._writes_are_out:
            due.append(self._write_due)
        wait_ms = max(0.0, min(due) - time.monotonic()) * 1000
        return {fd for fd, _ in poller.poll(int(wait_ms + 0.999)) if isinstance(fd, int)}

    @property
    def _writes_are_out(self) -> bool:
        """Whether to try writes: to see when they work again, or how long they pause."""
        if self._outage is not None and self._outage.acknowledged_at is None:
            return True
        return self._hand_over is not None

    def _ask_what_is_due(self, now: float) -> None:
        if now >= self._status_due:
            self._status_due = now + self._status_interval(now)
            for node in self.cluster.running:
                if node.link is not None:
                    node.link.ask_status()
        if self._writes_are_out and now >= self._write_due:
            urgent = self._is_measuring(now)
            self._write_due = now + (WRITE_SECONDS if urgent else WRITE_SECONDS_LATER)
            for node in self.cluster.running:
                if node.link is not None:
                    node.link.ask_write()

    def _status_interval(self, now: float) -> float:
        if self._is_measuring(now):
            return STATUS_SECONDS_URGENT
        unsure = self._outage is not None or self._leader is None or self._returning
        return STATUS_SECONDS_UNSURE if unsure else STATUS_SECONDS

    def _do_what_is_due(self, now: float) -> None:
        self._ask_what_is_due(now)
        for name in [name for name, at in self._restart_at.items() if now >= at]:
            del self._restart_at[name]
            self._launch(name)
        self._orders.tick(now)
        if self._hand_over is not None and self._hand_over.is_stale(now):
            self._hand_over = None
        if now >= self._show_due and not self._is_measuring(now):
            self._show_due = now + SHOW_SECONDS
            self._show(now)

    def _is_measuring(self, now: float) -> bool:
        """Whether a fail-over is being measured: to draw now would delay the time of an answer."""
        events = (self._outage, self._hand_over)
        return any(e is not None and now - e.began_at < WRITE_URGENT_SECONDS for e in events)

    def _show(self, now: float) -> None:
        self._screen.show(view_of(self.cluster, self._leader, now))

    # --- what nodes do: die, answer, lead ---

    def _on_death(self, node: NodeProcess) -> None:
        name, cluster = node.name, self.cluster
        if node.exit_status == EXIT_REMOVED and not node.is_removed:
            cluster.note_removed(name)  # another client removed it
        self._orders.ended(name)
        quorum_lost = not cluster.has_quorum
        # The planned end of a leader that hands over, or of a removed follower, is no outage.
        handed_over = self._hand_over is not None and name == self._hand_over.leader_before
        if quorum_lost or not (handed_over or (node.is_removed and name != self._leader)):
            self._hand_over = None
            self._begin_outage(node, quorum_lost=quorum_lost)
        role = "leader, " if name == self._leader else ""
        said = [f"{name} ({role}pid {node.pid}) {node.ending}"]
        if (node.exit_status or 0) > 0 or node.is_removed:
            said.append(f"its last words: {cluster.directory.last_log_line(name)}")
        if quorum_lost:
            said.append(f"{cluster.count()}: writes wait until {cluster.quorum} do")
        meant = name in self._meant_to_stop
        again = name in self._start_again
        if again or node.is_removed:
            pass
        elif self._restart and not meant:
            said.append(f"{name} will be started again in {duration(self._plan_restart(node))}")
        elif self._task is None:
            said.append(f"to start it again: restart {name}")
        # One `say` for all lines: each one draws, and the answer being measured may arrive now.
        self._screen.say("\n".join(said))
        if name == self._leader:
            self._leader = None
        for names in (self._meant_to_stop, self._start_again, self._returning):
            names.discard(name)
        if again:
            self._launch(name)

    def _begin_outage(self, node: NodeProcess, *, quorum_lost: bool) -> None:
        if self._outage is None:
            self._outage = Outage(
                began_at=node.died_at,
                leader_before=self._leader,
                leader_died=node.name == self._leader,
                quorum_lost=quorum_lost,
            )
        else:
            self._outage.another_death(node.name, quorum_lost=quorum_lost)
        self._status_due = self._write_due = 0.0
        for other in self.cluster.running:
            # The answer to a write from before the death does not prove that writes work again.
            if other.link is not None:
                other.link.forget_questions()
        self._ask_what_is_due(time.monotonic())

    def _take_answers(self) -> None:
        now = time.monotonic()
        for node in self.cluster.running:
            for answer in node.link.answers() if node.link is not None else ():
                if isinstance(answer, NodeStatus):
                    self._on_status(node, answer, now)
                elif isinstance(answer, OrderAnswered):
                    self._take_order(node, answer)
                elif answer.acknowledged:
                    self._on_acknowledged(now)

    def _on_acknowledged(self, now: float) -> None:
        if self._outage is not None and self._outage.acknowledged_at is None:
            self._outage.acknowledged_at = now
        if self._hand_over is not None:
            self._hand_over.acknowledged(now)

    def _take_order(self, node: NodeProcess, answer: OrderAnswered) -> None:
        try:
            self._orders.answered(node, answer)
        except LauncherError as error:
            self._screen.say(str(error))
        if answer.error:
            self._hand_over = None
        self._returning |= self.cluster.nodes.keys() - self._known
        self._show_due = 0.0

    def _on_status(self, node: NodeProcess, status: NodeStatus, now: float) -> None:
        node.hear(status)
        if node.name in self._returning and status.leader:
            self._returning.discard(node.name)
            took = duration(now - node.started_at)
            how = "has joined" if node.name not in self._known else "is back"
            self._known.add(node.name)
            self._screen.say(f"{node.name} {how} after {took}: {self.cluster.count()}")

    def _notice_leader(self) -> None:
        now = time.monotonic()
        statuses = {
            node.name: node.status
            for node in self.cluster.running
            if node.status is not None and not is_silent(node, now)
        }
        leader = leader_among(statuses)
        term = statuses[leader].term if leader else self._term
        outage, hand_over = self._outage, self._hand_over
        if hand_over is not None:
            hand_over.notice_leader(leader, now)
        if hand_over is not None and hand_over.is_over and leader is not None:
            self._screen.say(hand_over.report(leader, term))
            self._hand_over = None
            self._show_due = 0.0
        elif outage is not None and outage.acknowledged_at is not None and leader is not None:
            self._screen.say(outage.report(leader, term))
            self._outage = None
            self._show_due = 0.0
        elif outage is None and hand_over is None and leader != self._leader:
            self._screen.say(f"{leader} leads now (term {term})" if leader else "no leader")
        if (leader, term) != (self._leader, self._term):
            self._leader, self._term = leader, term
            self._show_due = 0.0

    def _plan_restart(self, node: NodeProcess) -> float:
        """Plan to start a dead node again; the delay in seconds."""
        young = node.died_at - node.started_at < SHORT_LIFE_SECONDS
        delay = self._restart_delay.get(node.name, 0.0) * 2 if young else 0.0
        delay = min(max(delay, RESTART_SECONDS), RESTART_SECONDS_MAX)
        self._restart_delay[node.name] = delay
        self._restart_at[node.name] = node.died_at + delay
        return delay

    def _launch(self, name: str) -> None:
        if self.cluster.node(name).running or self.cluster.node(name).is_removed:
            return
        self.cluster.launch_node(name)
        self._returning.add(name)
        self._screen.say(f"{name} is starting (pid {self.cluster.node(name).pid})")

    # --- what the user does ---

    def _take_signals(self) -> None:
        for number in self._signals.take():
            if number in STOPPING:
                self._finished = self._task is None or not self._task.interrupt(number)
            else:
                self._screen.wake()

    def _obey(self, line: str) -> None:
        verb, *names = line.split() or [""]
        try:
            match verb:
                case "":
                    pass
                case "quit" | "exit":
                    self._finished = True
                case "help" | "?":
                    self._screen.say(HELP)
                case "status":
                    self._screen.say(view_of(self.cluster, self._leader, time.monotonic()).line())
                case "kill" | "stop" | "restart" | "start":
                    for name in self._names(verb, names):
                        self._act(verb, name)
                case "add" | "promote" | "remove" | "transfer":
                    self._order(verb, names)
                case _:
                    raise LauncherError(f'there is no command "{verb}"; help lists them')
        except LauncherError as error:
            self._screen.say(str(error))

    def _names(self, verb: str, names: list[str]) -> list[str]:
        if not names:
            raise LauncherError(f"which node? For example: {verb} {next(iter(self.cluster.nodes))}")
        if "leader" in names and self._leader is None:
            raise LauncherError("no leader is known just now")
        return [self._leader or name if name == "leader" else name for name in names]

    def _order(self, verb: str, words: list[str]) -> None:
        """Change the members of the cluster, or its leader."""
        now, orders, leader = time.monotonic(), self._orders, self._leader
        if verb == "add":
            orders.add(leader, words, now)
        elif verb == "transfer":
            if leader is None:
                raise LauncherError("no leader is known just now")
            orders.transfer(leader, words[0] if words else self._successor(), now)
            self._begin_hand_over(leader)
        else:
            for name in self._names(verb, words):
                if verb == "promote":
                    orders.promote(leader, name, now)
                else:
                    orders.remove(leader, name, now)
                    self._begin_hand_over(name)

    def _successor(self) -> str:
        """The follower with a vote that has applied the most entries."""
        now = time.monotonic()
        found = [
            (node.status.applied_index, node.name)
            for node in self.cluster.voters
            if node.status is not None and node.name != self._leader and not is_silent(node, now)
        ]
        if not found:
            raise LauncherError("there is no other node that could lead")
        return max(found)[1]

    def _begin_hand_over(self, name: str) -> None:
        """If this node leads, measure how long writes pause until another node leads."""
        if name == self._leader and len(self.cluster.voters) > 1 and self._outage is None:
            now = time.monotonic()
            self._hand_over = HandOverPause(name, now, now)
            self._status_due = self._write_due = 0.0

    def _act(self, verb: str, name: str) -> None:
        node = self.cluster.node(name)
        self._restart_at.pop(name, None)
        if node.is_removed and verb in {"start", "restart"}:
            raise LauncherError(f"{name} was removed from the cluster for good: add another node")
        if verb in {"start", "restart"} and not node.running:
            self._launch(name)
        elif verb == "start":
            raise LauncherError(f"{name} is running already (pid {node.pid})")
        elif not node.running:
            raise LauncherError(f"{name} is not running")
        elif verb == "kill":
            node.signal(signal.SIGKILL)
        else:
            self._begin_hand_over(name)
            node.signal(signal.SIGTERM)
            (self._meant_to_stop if verb == "stop" else self._start_again).add(name)
