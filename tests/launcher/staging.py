"""A page without a cluster: a story of a fail-over for those who look at it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cluster.launcher.probing.prober import Sample
from cluster.launcher.screens.view import ClusterView, NodeView
from cluster.launcher.story.failover import Failover
from cluster.launcher.story.happenings import LAUNCHER, Happening
from cluster.launcher.story.journal import Journal
from cluster.launcher.web import Launcher, WebPage
from cluster.launcher.web.calls import PageCall


def row(name: str, **columns: Any) -> NodeView:
    """A running follower, with these columns instead."""
    blank: dict[str, Any] = dict.fromkeys(NodeView._fields)
    usual = {"state": "follower", "pid": 1, "endpoint": "127.0.0.1:1", "note": ""}
    known = {name: value for name, value in columns.items() if name in NodeView._fields}
    return NodeView(**{**blank, "name": name, **usual, **known})


def view(*rows: NodeView, leader: str | None = None) -> ClusterView:
    """A cluster of these nodes."""
    blank: dict[str, Any] = dict.fromkeys(ClusterView._fields)
    return ClusterView(**{**blank, "leader": leader, "term": 1, "revision": 1, "nodes": rows})


class Stage:
    """A page and the main loop that it is a part of; there is no cluster."""

    def __init__(self, data_dir: Path, port: int = 0, endpoints: Sequence[str] = ()) -> None:
        self.journal = Journal()
        self.calls: list[PageCall] = []
        self.records: list[bool] = []
        self.seen = view()
        launcher = Launcher(
            obey=lambda _, call: self.calls.append(call),
            view=lambda _: self.seen,
            record=self.records.append,
            commands=[("kill", "kill n1", "kill -9")],
            endpoints=lambda: endpoints,
        )
        self.page = WebPage(self.journal, data_dir, launcher, port=port)

    def look(self, seen: ClusterView, now: float | None = None) -> None:
        """Let the page see the cluster like this."""
        self.seen = seen
        self.page.serve(set(), self.page.due if now is None else now)

    def tell(self, at: float, kind: str, source: str, text: str, **fields: Any) -> None:
        """Something happens at a moment."""
        self.journal.add(Happening(at, at + 1_700_000_000, kind, source, text, fields))


def play(stage: Stage, now: float) -> None:
    """Let n2 lead, die 20 s before `now`, and n3 lead from then on."""
    died = now - 20.0
    names = ("n1", "n2", "n3")
    before = [row(name, term=2, revision=90, state=_role(name, "n2")) for name in names]
    stage.look(view(*before, leader="n2"), now - 60.0)
    stage.tell(now - 60.0, "ready", LAUNCHER, "ready in 1.9 s: n2 leads (term 2)", took_ms=1900)
    stage.tell(died, "died", LAUNCHER, "n2 (leader) was killed by SIGKILL", victim="n2", pid=7)
    stage.tell(died + 0.002, "suspected", "n3", "n3 lost n2", leader="n2", how="connection", term=2)
    stage.tell(died + 0.02, "elected", "n3", "n3 leads term 3", term=3, votes=["n1", "n3"])
    failover = Failover(
        number=1,
        cause="kill n2",
        began_at=died,
        leader_before="n2",
        leader_after="n3",
        term=3,
        detected_by="n3",
        detected_how="connection",
        detection_ms=1.6,
        election_ms=18.0,
        votes=("n1", "n3"),
        write_outage_ms=41.0,
        read_outage_ms=38.5,
        watch_gap_ms=52.0,
        delayed=9,
        linearizable=True,
        leases_kept=12,
    )
    text = "n3 leads in place of n2: writes were out for 41 ms"
    stage.tell(died + 2.0, "failover", LAUNCHER, text, **failover.document())
    after = [row(name, term=3, revision=120, state=_role(name, "n3")) for name in names]
    after[1] = row("n2", state="killed", pid=0)
    stage.look(view(*after, leader="n3"), died + 0.1)
    stage.page.samples(list(_samples(now, died)))


def _role(name: str, leader: str) -> str:
    return "leader" if name == leader else "follower"


def _samples(now: float, died: float) -> Iterable[Sample]:
    for number in range(1200):
        at = now - 60.0 + number / 20
        gap = died <= at < died + 0.04
        yield Sample(at, "write", 41.0 if gap else 2.0 + number % 7 / 4, True)
        yield Sample(at + 0.01, "read", 1.0 + number % 5 / 4, not gap)
