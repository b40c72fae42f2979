"""The launcher's main loop, with stand-ins for nodes: what it tells, and what it obeys."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import pytest

from cluster.launcher import supervisor
from cluster.launcher.errands import membership
from cluster.launcher.errands.errand import ANSWER_SECONDS, FOREVER, Ask, Errand
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.screens.view import ClusterView
from cluster.launcher.screens.wording import entry_of, was_typed
from cluster.launcher.signals import Signals
from cluster.launcher.story.happenings import Happening
from cluster.launcher.supervisor import Supervisor
from cluster.launcher.task import Task, TaskError
from tests.cluster.test_launcher_local import STANDIN

pytestmark = pytest.mark.process


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Three stand-ins that are ready; n1 leads."""
    with LocalCluster(3, command=STANDIN) as made:
        yield made


class ScriptedScreen:
    """Notes what is said; each text that a step waits for sets off the step's action."""

    def __init__(self, *steps: tuple[str, Callable[[], object] | str]) -> None:
        self.said: list[str] = []
        self.views: list[ClusterView] = []
        self._steps = list(steps)
        self._read, self._write = os.pipe()

    def open(self) -> None:
        """Begin with the first step, which waits for nothing."""
        self.say("open")

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)

    def wake(self) -> None:
        self.said.append("woken")

    def clear(self) -> None:
        self.said.append("cleared")

    def tell(self, happening: Happening) -> None:
        if entry_of(happening) is not None and not was_typed(happening):
            self.say(happening.text)

    def say(self, text: str) -> None:
        self.said += text.splitlines()
        if self._steps and self._steps[0][0] in text:
            _, action = self._steps.pop(0)
            if isinstance(action, str):
                os.write(self._write, action.encode() + b"\n")
            else:
                action()

    def show(self, view: ClusterView) -> None:
        self.views.append(view)

    def input_fd(self) -> int | None:
        return self._read

    def typed(self) -> Iterable[str]:
        return os.read(self._read, 4096).decode().splitlines()

    @property
    def unfinished(self) -> list[str]:
        """What was waited for and not said."""
        return [text for text, _ in self._steps]


def watch(cluster: LocalCluster, screen: ScriptedScreen, *, restart: bool = False) -> list[str]:
    """Supervise until the script quits; all that was said."""
    leader = cluster.leader()
    with Signals() as signals:
        screen.open()
        Supervisor(cluster, screen, signals, restart=restart).run(leader)
        screen.close()
    assert screen.unfinished == []
    return screen.said


def test_the_death_of_the_leader_is_told_and_mended(cluster: LocalCluster) -> None:
    leader = cluster.nodes["n1"]
    pid = leader.pid
    screen = ScriptedScreen(
        ("open", lambda: os.kill(pid, signal.SIGKILL)),
        ("n2 leads (term 2)", "restart n1"),
        ("n1 is back after", "quit"),
    )
    said = watch(cluster, screen)
    assert f"n1 (leader, pid {pid}) was killed by SIGKILL" in said
    assert f"n1 starts (pid {leader.pid})" in said
    assert any(row.state == "killed" for view in screen.views for row in view.nodes)


def test_a_lost_quorum_is_told_and_so_is_its_return(cluster: LocalCluster) -> None:
    screen = ScriptedScreen(
        ("open", "kill n2"),
        (") was killed by SIGKILL", "kill n3"),
        ("; 1 of 3 nodes run: writes wait until 2 do", "restart n2"),
        ("n2 is back after", "quit"),
    )
    watch(cluster, screen)


def test_a_node_that_dies_is_started_again_by_itself_if_so_wished(cluster: LocalCluster) -> None:
    screen = ScriptedScreen(
        ("open", "kill leader"),
        ("n1 will be started again in 1.0 s", lambda: None),
        ("n1 is back after", "quit"),
    )
    watch(cluster, screen, restart=True)


def test_a_node_that_is_stopped_on_purpose_stays_stopped(cluster: LocalCluster) -> None:
    screen = ScriptedScreen(
        ("open", "stop n2"),
        (") was killed by SIGTERM", "restart n3"),
        ("n3 is back", "quit"),
    )
    said = watch(cluster, screen, restart=True)
    assert not cluster.nodes["n2"].running
    assert not any("n2 will be started" in line for line in said)


def test_a_leader_that_is_stopped_is_followed_by_another(cluster: LocalCluster) -> None:
    screen = ScriptedScreen(("open", "stop leader"), ("n2 leads (term 2)", "quit"))
    said = watch(cluster, screen)
    assert "no leader" not in said


def test_a_node_is_added_and_removed_at_the_prompt(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A stand-in does not hear of its removal.
    remove = membership.remove
    monkeypatch.setattr(membership, "remove", partial(remove, seconds=0.1))
    screen = ScriptedScreen(
        ("open", "add"),
        ("n4 was added as a voter", lambda: None),
        ("n4 has joined after", "remove n4"),
        ("n4 was removed from the cluster", lambda: None),
        (") was killed by SIGTERM", lambda: None),
        ("export LEASECTL_ENDPOINTS", "restart n4"),
        ("n4 was removed from the cluster for good", "quit"),
    )
    said = watch(cluster, screen)
    four, three = (line for line in said if line.startswith("export LEASECTL_ENDPOINTS="))
    assert (four.count(","), three.count(",")) == (3, 2)
    assert cluster.nodes["n4"].condition(time.monotonic()) == "removed"


def test_a_node_that_somebody_else_removed_is_known_as_removed(cluster: LocalCluster) -> None:
    node = cluster.nodes["n3"]

    def remove() -> None:
        assert node.link is not None
        node.link.give_order({"op": "member_remove", "ID": node.member_id})

    screen = ScriptedScreen(("open", remove), ("its last words: the stand-in was removed", "quit"))
    said = watch(cluster, screen, restart=True)
    assert node.is_removed
    assert not any("started again" in line for line in said)


def test_orders_that_are_refused_are_answered(cluster: LocalCluster) -> None:
    screen = ScriptedScreen(
        ("open", "transfer n1"),
        ("n1 leads already", "transfer n2"),
        ("not in a stand-in", "promote n3"),
        ("n3 is already a voter", "add x/y"),
        ("x/y is not a valid name for a node", "add n8 n9"),
        ("one node at a time: add n8", "remove"),
        ("which node? For example: remove n1", "transfer n9"),
        ("there is no node n9", "transfer"),
        ("not in a stand-in", "quit"),
    )
    watch(cluster, screen)


def test_one_node_grows_by_a_learner() -> None:
    with LocalCluster(1, command=STANDIN) as cluster:
        screen = ScriptedScreen(
            ("open", "add learner"),
            ("n2 was added as a learner", "quit"),
        )
        watch(cluster, screen)
        assert (cluster.quorum, len(cluster.members)) == (1, 2)


class Ends:
    """How an errand ended."""

    def __init__(self) -> None:
        self.results: list[object] = []
        self.errors: list[str] = []

    def __call__(self, result: object, error: LauncherError | None) -> None:
        if error is None:
            self.results.append(result)
        else:
            self.errors.append(str(error))


def ask(name: str, seconds: float = ANSWER_SECONDS) -> Errand[int]:
    """An errand of one question."""
    reply = yield Ask(name, {"op": "status"}, seconds)
    return int(reply["raftTerm"])


def test_a_question_to_a_node_that_dies_is_given_up(cluster: LocalCluster) -> None:
    ends = Ends()
    cluster.pause("n1")
    cluster.errands.begin(ask("n1"), ends)
    cluster.errands.lost("n2")
    assert not ends.errors
    cluster.kill("n1")
    assert ends.errors == ["n1 ended before it answered"]
    assert not cluster.errands.are_awaited


def test_a_question_that_is_not_answered_in_time_is_given_up(cluster: LocalCluster) -> None:
    ends = Ends()
    cluster.pause("n2")
    cluster.errands.begin(ask("n2"), ends)
    due = cluster.errands.due
    cluster.errands.tick(due - 1)
    assert not ends.errors
    cluster.errands.tick(due)
    assert ends.errors == ["n2 does not answer; it may still be done"]
    assert cluster.errands.due == FOREVER


def test_what_cannot_be_sent_is_tried_again_until_its_time_is_over(cluster: LocalCluster) -> None:
    ends = Ends()
    cluster.kill("n3")
    cluster.errands.begin(ask("n3"), ends)
    cluster.start("n3")
    assert ends.results == [1]
    cluster.kill("n3")
    cluster.errands.begin(ask("n3"), ends)
    cluster.errands.tick(cluster.errands.due)
    assert ends.errors == ["n3 cannot be reached just now"]


def test_a_launcher_that_did_not_run_blames_no_node(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after Ctrl-Z and fg: no answer has been heard for long, and that says nothing."""
    cluster.status()
    for node in cluster.running:
        node.status_at -= 1_000
    assert cluster.heard_leader is None
    assert cluster.nodes["n2"].condition(time.monotonic()) == "silent"
    cluster.awake_since = time.monotonic()
    assert cluster.heard_leader == "n1"
    # Here every turn of the loop is as late as that.
    monkeypatch.setattr(supervisor, "SLEPT_SECONDS", -1.0)
    cluster.awake_since = 0.0
    screen = ScriptedScreen(("the launcher itself did not run for", "quit"))
    with Signals() as signals:
        screen.open()
        Supervisor(cluster, screen, signals).run("n1")
        screen.close()
    assert screen.unfinished == []
    assert "no leader" not in screen.said


def test_commands_that_cannot_be_obeyed_are_answered(cluster: LocalCluster) -> None:
    screen = ScriptedScreen(
        ("open", "dance"),
        ('there is no command "dance"; help lists them', "kill"),
        ("which node? For example: kill n1", "start n1"),
        ("n1 already runs (pid ", "stop n9"),
        ("there is no node n9; there are n1, n2, n3", "help"),
        ("stop everything, as Ctrl-C does", "stauts n1"),
        ('there is no command "stauts" (did you mean status?)', "status n1"),
        ("status takes no words: n1", "kill 'n1"),
        ("a quote is open", "kill --now n1"),
        ("kill has no options: --now", "resume n2"),
        ("n2 is not paused", "pause n2"),
        ("is paused (SIGSTOP)", "pause n2"),
        ("n2 is already paused: resume n2 lets it go on", "resume ALL"),
        ("goes on (SIGCONT)", "status"),
        ("n1 leads (term 1), revision 1: n1 leader pid", "report"),
        ("no fail-over yet", "report --json"),
        ('"failovers": []', "report all"),
        ("report takes nothing, or --json, or --html FILE", "quit"),
    )
    watch(cluster, screen)


def test_a_stopping_signal_ends_the_watching(cluster: LocalCluster) -> None:
    screen = ScriptedScreen(("open", lambda: os.kill(os.getpid(), signal.SIGTERM)))
    watch(cluster, screen)
    assert len(cluster.running) == 3


# --- Task -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 7", 7), ("kill -9 $$", 137), ('test "$LEASECTL_ENDPOINTS" = a:1,b:2', 0)],
)
def test_a_task_ends_with_its_commands_status(
    cluster: LocalCluster, script: str, status: int
) -> None:
    task = Task(["sh", "-c", script], {"LEASECTL_ENDPOINTS": "a:1,b:2"})
    screen = ScriptedScreen()
    with Signals() as signals:
        Supervisor(cluster, screen, signals, task=task).run("n1")
    assert task.status == status
    task.end()


@pytest.mark.parametrize(("command", "status"), [("/nonexistent", 127), ("/etc/passwd", 126)])
def test_a_task_that_cannot_start_has_the_status_a_shell_gives(command: str, status: int) -> None:
    with pytest.raises(TaskError) as caught:
        Task([command], {})
    assert caught.value.status == status
