"""LocalCluster and Supervisor, with stand-ins for nodes: processes, signals, deaths, words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from cluster.identity import member_id_of
from cluster.launcher import orders
from cluster.launcher.layout import LauncherError
from cluster.launcher.local import LocalCluster
from cluster.launcher.orders import ANSWER_SECONDS, Orders
from cluster.launcher.outage import FOREVER
from cluster.launcher.ports import is_free
from cluster.launcher.screens.view import ClusterView
from cluster.launcher.signals import Signals
from cluster.launcher.supervisor import Supervisor
from cluster.launcher.task import Task, TaskError
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process

STANDIN = (sys.executable, "-P", "-m", "tests.cluster.standin")


@pytest.fixture
def cluster() -> Iterator[LocalCluster]:
    """Three stand-ins that are ready; n1 leads."""
    with LocalCluster(3, command=STANDIN) as made:
        yield made


# --- LocalCluster -----------------------------------------------------------------------------


def test_a_cluster_is_ready_inside_the_block_and_gone_after_it() -> None:
    with LocalCluster(3, command=STANDIN) as cluster:
        pids = [node.pid for node in cluster.nodes.values()]
        assert [f"127.0.0.1:{node.ports.client}" for node in cluster.nodes.values()] == (
            cluster.endpoints
        )
        assert cluster.leader() == "n1"
        assert set(cluster.status()) == {"n1", "n2", "n3"}
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not cluster.data_dir.exists()


def test_a_killed_node_is_seen_and_another_leads(cluster: LocalCluster) -> None:
    cluster.kill("n1")
    node = cluster.nodes["n1"]
    assert not node.running
    assert node.ending == "was killed by SIGKILL"
    assert cluster.wait_for_leader() == "n2"
    cluster.restart("n1")
    assert node.running
    assert cluster.leader() == "n1"


def test_a_kill_by_somebody_else_is_seen_too(cluster: LocalCluster) -> None:
    os.kill(cluster.nodes["n3"].pid, signal.SIGKILL)
    assert cluster.nodes["n3"].wait(HANG_SECONDS)
    assert [node.name for node in cluster.running] == ["n1", "n2"]


def test_without_a_quorum_waiting_for_a_leader_says_so(cluster: LocalCluster) -> None:
    cluster.kill("n1")
    cluster.kill("n2")
    with pytest.raises(LauncherError, match="1 of 3 nodes run: writes wait for 2"):
        cluster.wait_for_leader()


def test_what_is_asked_of_the_wrong_node_is_refused(cluster: LocalCluster) -> None:
    with pytest.raises(LauncherError, match="there is no node n9; there are n1, n2, n3"):
        cluster.kill("n9")
    with pytest.raises(LauncherError, match=r"n1 is running already \(pid [0-9]+\)"):
        cluster.restart("n1")
    cluster.stop_node("n1")
    with pytest.raises(LauncherError, match="n1 is not running"):
        cluster.kill("n1")


def test_a_paused_node_is_left_out_of_the_status_and_stopped_all_the_same() -> None:
    with LocalCluster(3, command=STANDIN) as cluster:
        cluster.kill("n2", signal.SIGSTOP)
        assert set(cluster.status(timeout_seconds=0.2)) == {"n1", "n3"}
    assert cluster.nodes["n2"].exit_status is not None


def test_a_node_that_gives_up_at_the_start_is_named_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STANDIN", "fail")
    with pytest.raises(LauncherError, match=r"n\d exited with status 3: the stand-in was told to"):
        LocalCluster(3, command=STANDIN).__enter__()


def test_nodes_that_ignore_sigterm_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN", "deaf")
    cluster = LocalCluster(1, command=STANDIN)
    cluster.__enter__()
    assert cluster.stop(timeout_seconds=0.2) == ["n1"]
    assert cluster.nodes["n1"].exit_status == -signal.SIGKILL


def test_a_cluster_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDIN", "mute")
    cluster = LocalCluster(1, command=STANDIN)
    cluster.launch()
    with pytest.raises(LauncherError, match="no write was acknowledged within"):
        cluster.wait_until_ready(timeout_seconds=0.5)
    cluster.stop()


def test_a_taken_port_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    with LocalCluster(1, command=STANDIN) as other:
        port = other.nodes["n1"].ports.client
        second = LocalCluster(1, tmp_path, base_port=port, command=STANDIN)
        with pytest.raises(LauncherError, match=rf"port {port} is taken by python.* \(pid \d+\)"):
            second.launch()
        assert second.running == []
        second.stop()


def test_a_data_directory_keeps_its_size_and_ports(tmp_path: Path) -> None:
    with LocalCluster(3, tmp_path, command=STANDIN) as cluster:
        endpoints = cluster.endpoints
    with pytest.raises(LauncherError, match="holds a cluster of size 3, not 5"):
        LocalCluster(5, tmp_path, command=STANDIN)
    with pytest.raises(LauncherError, match="holds a cluster whose first port is"):
        LocalCluster(3, tmp_path, base_port=9_000, command=STANDIN)
    with LocalCluster(data_dir=tmp_path, command=STANDIN) as cluster:
        assert cluster.endpoints == endpoints


def test_nodes_end_when_their_launcher_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys; from cluster.launcher.local import LocalCluster\n"
        f"cluster = LocalCluster(2, {str(tmp_path)!r}, command={STANDIN!r})\n"
        "cluster.__enter__(); print(*[n.pid for n in cluster.nodes.values()], flush=True)\n"
        "sys.stdin.read()"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert launcher.stdout is not None and launcher.stdin is not None
    pidfds = [os.pidfd_open(int(pid)) for pid in launcher.stdout.readline().split()]
    launcher.kill()
    launcher.communicate()
    # The nodes hold the directory's lock: getting it means that they are gone.
    with LocalCluster(data_dir=tmp_path, command=STANDIN) as cluster:
        assert len(cluster.running) == 2
    for pidfd in pidfds:
        os.close(pidfd)


def test_a_node_that_was_added_belongs_to_the_cluster_from_then_on(tmp_path: Path) -> None:
    with LocalCluster(3, tmp_path, command=STANDIN) as cluster:
        assert cluster.add() == "n4"
        node = cluster.nodes["n4"]
        assert node.running and node.member_id == member_id_of((node.peer_url,), "etcd-cluster")
        assert cluster.quorum == 3
        endpoints = cluster.endpoints
        assert len(endpoints) == 4
    with LocalCluster(data_dir=tmp_path, command=STANDIN) as cluster:
        assert cluster.endpoints == endpoints
        assert cluster.nodes["n4"].member_id == node.member_id


def test_a_learner_is_no_voter_and_no_endpoint(cluster: LocalCluster) -> None:
    record = cluster.plan_node(learner=True)
    cluster.enlist(record, 77)
    assert [node.name for node in cluster.voters] == ["n1", "n2", "n3"]
    assert len(cluster.endpoints) == 3
    cluster.note_promoted("n4")
    assert len(cluster.endpoints) == 4


def test_a_removed_node_is_stopped_and_never_started_again(tmp_path: Path) -> None:
    with LocalCluster(3, tmp_path, command=STANDIN) as cluster:
        cluster.remove("n3", timeout_seconds=0.1)  # a stand-in does not hear of its removal
        assert not cluster.nodes["n3"].running
        assert len(cluster.members) == len(cluster.endpoints) == 2
        with pytest.raises(LauncherError, match="n3 was removed from the cluster for good"):
            cluster.restart("n3")
        assert cluster.add() == "n4"
    with LocalCluster(data_dir=tmp_path, command=STANDIN) as cluster:
        assert list(cluster.nodes) == ["n1", "n2", "n4"]
        assert cluster.add() == "n5"


def test_what_a_node_refuses_is_said_in_its_words(cluster: LocalCluster) -> None:
    with pytest.raises(LauncherError, match="not in a stand-in"):
        cluster.promote("n2")
    with pytest.raises(LauncherError, match="not in a stand-in"):
        cluster.transfer()


# --- Supervisor -------------------------------------------------------------------------------


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


def test_the_death_of_the_leader_is_told_measured_and_mended(cluster: LocalCluster) -> None:
    leader = cluster.nodes["n1"]
    pid = leader.pid
    screen = ScriptedScreen(
        ("open", lambda: os.kill(pid, signal.SIGKILL)),
        ("writes were unavailable for", "restart n1"),
        ("n1 is back after", "quit"),
    )
    said = watch(cluster, screen)
    assert f"n1 (leader, pid {pid}) was killed by SIGKILL" in said
    assert "to start it again: restart n1" in said
    assert any(line.startswith("n2 leads now (term 2): writes were unav") for line in said)
    assert f"n1 is starting (pid {leader.pid})" in said
    assert any(row.state == "killed" for view in screen.views for row in view.nodes)


def test_the_death_of_a_follower_is_said_to_interrupt_nothing(cluster: LocalCluster) -> None:
    said = watch(cluster, ScriptedScreen(("open", "kill n3"), ("writes went on", "quit")))
    assert "writes went on: n1 still leads (term 1), unavailable for 0 ms" in said


def test_a_lost_quorum_is_told_and_so_is_its_return(cluster: LocalCluster) -> None:
    screen = ScriptedScreen(
        ("open", "kill n2"),
        ("writes went on", "kill n3"),
        ("1 of 3 nodes run: writes wait until 2 do", "restart n2"),
        ("writes are back: n1 leads", "quit"),
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
        ("open", "stop n2"), ("to start it again: restart n2", "restart n3"), ("n3 is back", "quit")
    )
    said = watch(cluster, screen, restart=True)
    assert not cluster.nodes["n2"].running
    assert not any("n2 will be started" in line for line in said)


def test_a_leader_that_is_stopped_hands_over_and_the_pause_is_told(cluster: LocalCluster) -> None:
    screen = ScriptedScreen(("open", "stop leader"), ("in place of n1: writes paused for", "quit"))
    said = watch(cluster, screen)
    assert "to start it again: restart n1" in said
    assert any(line.startswith("n2 leads now (term 2) in place of n1") for line in said)
    assert not any("unavailable" in line for line in said)


def test_a_node_is_added_and_removed_at_the_prompt(
    cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "REMOVED_SECONDS", 0.1)
    screen = ScriptedScreen(
        ("open", "add"),
        ("n4 was added as a member and is starting (pid", lambda: None),
        ("n4 has joined after", "remove n4"),
        ("n4 was removed from the cluster", lambda: None),
        (") was killed by SIGTERM", "restart n4"),
        ("n4 was removed from the cluster for good", "quit"),
    )
    said = watch(cluster, screen)
    four, three = (line for line in said if line.startswith("export LEASECTL_ENDPOINTS="))
    assert (four.count(","), three.count(",")) == (3, 2)
    assert screen.views[-1].nodes[-1].state == "removed"


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
        ("transfer n2: not in a stand-in", "promote n3"),
        ("promote n3: not in a stand-in", "add x/y"),
        ("x/y is not a valid name for a node", "add n8 n9"),
        ("one node at a time: add n8", "remove"),
        ("which node? For example: remove n1", "transfer n9"),
        ("there is no node n9", "transfer"),
        (": not in a stand-in", "quit"),
    )
    watch(cluster, screen)


def test_one_node_grows_by_a_learner() -> None:
    with LocalCluster(1, command=STANDIN) as cluster:
        screen = ScriptedScreen(
            ("open", "add"),
            ("to a single node, add a learner first", "add learner"),
            ("n2 was added as a learner", "quit"),
        )
        watch(cluster, screen)
        assert (cluster.quorum, len(cluster.members)) == (1, 2)


def reach(cluster: LocalCluster, name: str) -> None:
    """Wait until the launcher is connected to a node."""
    link = cluster.nodes[name].link
    assert link is not None
    deadline = time.monotonic() + HANG_SECONDS
    while not link.give_order({"op": "status"}):
        assert time.monotonic() < deadline, f"{name} cannot be reached"
        cluster.poll(10)


def test_an_order_to_a_node_that_dies_is_given_up(cluster: LocalCluster) -> None:
    said: list[str] = []
    given = Orders(cluster, said.append)
    reach(cluster, "n1")
    cluster.kill("n1", signal.SIGSTOP)
    given.promote("n1", "n3", now=0.0)
    assert given.due == ANSWER_SECONDS
    given.ended("n2")
    assert said == []
    given.ended("n1")
    assert said == ["promote n3: n1 ended before it answered; look at the member list"]
    assert given.due == FOREVER


def test_an_order_that_is_not_answered_in_time_is_given_up(cluster: LocalCluster) -> None:
    said: list[str] = []
    given = Orders(cluster, said.append)
    reach(cluster, "n2")
    cluster.kill("n2", signal.SIGSTOP)
    given.remove("n2", "n3", now=0.0)
    given.tick(ANSWER_SECONDS - 1)
    assert said == []
    given.tick(ANSWER_SECONDS)
    assert said == ["remove n3: no answer; it may still be done"]
    assert not cluster.nodes["n3"].is_removed


def test_commands_that_cannot_be_obeyed_are_answered(cluster: LocalCluster) -> None:
    screen = ScriptedScreen(
        ("open", "dance"),
        ('there is no command "dance"; help lists them', "kill"),
        ("which node? For example: kill n1", "start n1"),
        ("n1 is running already", "stop n9"),
        ("there is no node n9; there are n1, n2, n3", "help"),
        ("quit        stop everything", "status"),
        ("n1 leads (term 1), revision 1: n1 leader pid", "quit"),
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
    task = Task(["sh", "-c", script], ["a:1", "b:2"])
    screen = ScriptedScreen()
    with Signals() as signals:
        Supervisor(cluster, screen, signals, task=task).run("n1")
    assert task.status == status
    task.end()


@pytest.mark.parametrize(("command", "status"), [("/nonexistent", 127), ("/etc/passwd", 126)])
def test_a_task_that_cannot_start_has_the_status_a_shell_gives(command: str, status: int) -> None:
    with pytest.raises(TaskError) as caught:
        Task([command], [])
    assert caught.value.status == status


def test_the_ports_of_a_stopped_cluster_are_free_again() -> None:
    with LocalCluster(1, command=STANDIN) as cluster:
        ports = cluster.nodes["n1"].ports
    assert is_free(ports.client) and is_free(ports.peer)
