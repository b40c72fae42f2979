"""The steps of a tour against nodes that are made up: each fails where a node belies it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster.launcher.arguments import LaunchOptions, parse
from cluster.launcher.errands.errand import Ask, OrderRefusedError, Until
from cluster.launcher.shows import tour
from cluster.launcher.shows.show import ShowDesk, ShowError, Stage
from cluster.launcher.story.failover import Failover
from cluster.launcher.story.journal import Journal

pytestmark = pytest.mark.quick

NAMES = ("n1", "n2", "n3")
Answer = Callable[[str, Mapping[str, Any]], Any]


class Desk:
    """Three nodes, of which n1 leads; a command that takes the lead gives it to n2."""

    prober = None

    def __init__(self, outage: Failover) -> None:
        self.journal = Journal()
        self.leader = "n1"
        self.lines: list[str] = []
        self._outage = outage
        nodes = [SimpleNamespace(name=name, running=True) for name in NAMES]
        self.cluster = SimpleNamespace(
            voters=nodes, members=nodes, running_members=nodes, quorum=2, endpoints=[]
        )

    def obey(self, line: str, asker: Any) -> None:
        """Do it at once."""
        self.lines.append(line)
        if line.startswith((f"kill {self.leader}", "partition")):
            self.leader = "n2"
            self.journal.tell("failover", "measured", **self._outage.document())
        asker.done()


def answered(node: str, request: Mapping[str, Any]) -> Any:
    """What sound nodes answer: all have everything, and n1 is alone behind a partition."""
    header = {"revision": 7}
    kvs = {b"tour/greeting": b"hello"}.get(request.get("key", b""), b"1")
    found: dict[str, Any] = {
        "status": {"raftTerm": 3, "leader": 11},
        "put": {"header": header},
        "range": {"header": header, "kvs": [{"value": kvs}]},
        "hash_kv": {"hash": 99},
        "lease_grant": {"ID": 5},
        "lease_time_to_live": {"TTL": 59},
        "lease_revoke": {},
    }
    if node == "n1" and request["op"] in {"put", "range"} and "serializable" not in request:
        raise OrderRefusedError("etcdserver: no leader")
    return found[request["op"]]


FAILOVER = Failover(1, "kill", 0.0, "n1", "n2", term=4, write_outage_ms=21.0)


def shown(name: str, answer: Answer, outage: Failover = FAILOVER) -> list[str]:
    """Do a step to its end with these answers; what it has told."""
    desk = Desk(outage)
    stage = Stage(cast(ShowDesk, desk), "tour")
    desk.journal.read_by(stage.read)
    step = next(step for step in tour.STEPS if step.name == name)
    script, reply, error = step.script(stage), None, None
    while True:
        try:
            waits = script.send(reply) if error is None else script.throw(error)
        except StopIteration:
            return [each.text for each in desk.journal.since(0) if each.kind == "narrated"]
        reply = error = None
        if isinstance(waits, Ask):
            try:
                reply = answer(waits.node, waits.request)
            except OrderRefusedError as refused:
                error = refused
        else:
            assert isinstance(waits, Until)
            assert waits.holds(), waits.otherwise


def but(op: str, of: str, value: Any, *, local: bool | None = None) -> Answer:
    """Sound answers, but for this one of a node; n1 answers writes and reads, too."""

    def answer(node: str, request: Mapping[str, Any]) -> Any:
        is_local = "serializable" in request
        if (request["op"], node) == (op, of) and local in {None, is_local}:
            return value
        return answered(node if node != "n1" else "n3", request)

    return answer


def test_sound_nodes_pass_the_steps() -> None:
    sound = but("", "", None)
    assert "n1 leads in term 3: every node says so." in shown("election", sound)[0]
    assert "the same hash" in shown("replication", sound)[-1]
    assert "Writes waited for 21.0 ms, and no acknowledged" in shown("kill", sound)[-1]
    assert "does not acknowledge it (etcdserver: no leader)" in shown("partition", answered)[2]


@pytest.mark.parametrize(
    ("step", "answer", "wrong"),
    [
        ("election", but("status", "n2", {"raftTerm": 2, "leader": 11}), "in different terms"),
        ("election", but("status", "n3", {"raftTerm": 3, "leader": 12}), "different leaders"),
        ("replication", but("hash_kv", "n3", {"hash": 98}), "the stores differ: .*'n3': 98"),
        ("kill", but("range", "n2", {"kvs": []}), "n2 does not have tour/greeting"),
        ("partition", but("", "", None), "n1 acknowledged a write without a quorum"),
        ("lease", but("lease_time_to_live", "n2", {"TTL": -1}), "the lease did not survive"),
        ("lease", but("range", "n2", {"kvs": []}), "tour/leased did not survive"),
        ("lease", but("", "", None), "tour/leased survived its lease"),
    ],
)
def test_a_step_fails_where_a_node_belies_it(step: str, answer: Answer, wrong: str) -> None:
    with pytest.raises(ShowError, match=wrong):
        shown(step, answer)


def test_a_lost_write_fails_the_kill() -> None:
    with pytest.raises(ShowError, match="3 acknowledged writes were lost"):
        shown("kill", but("", "", None), FAILOVER._replace(lost=3))


def test_a_minority_must_not_read_either() -> None:
    def reads(node: str, request: Mapping[str, Any]) -> Any:
        return answered("n3" if request["op"] == "range" else node, request)

    with pytest.raises(ShowError, match="n1 answered a linearizable read without a quorum"):
        shown("partition", reads)


# --- the command line -------------------------------------------------------------------------


def test_a_show_has_the_launcher_s_flags_and_its_own() -> None:
    line = ("chaos", "--for", "2m", "-n", "5", "--plan", "kill-leader", "--election-timeout=500")
    options = parse(line)
    assert isinstance(options, LaunchOptions)
    assert options.show == ("chaos", "--for", "2m", "--plan", "kill-leader")
    assert (options.size, options.data_dir) == (5, None)
    assert options.node_flags == ("--election-timeout=500",)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (("chaos", "--assert", "lots<1"), "chaos: --assert lots<1: there is no field lots"),
        (("chaos", "--restart"), "chaos starts nodes again itself: leave out --restart"),
        (("chaos", "-n", "8"), "8: a local cluster has 1 to 7 nodes"),
        (("tour", "--yes", "recover"), "tour: there is no step recover"),
        (("tuor",), "there is no run_cluster.py tuor (did you mean tour?)"),
    ],
)
def test_wrong_words_of_a_show_end_it_before_a_cluster_starts(
    line: tuple[str, ...], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(line)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert wrong in said and len(said.splitlines()) == 1
