"""ClusterView: a local cluster at one moment, as values and texts.

Where and how these appear is the business of the screens.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cluster.launcher.program import CTL, DATA_DIR
from cluster.launcher.screens.vitals import NodeVitals, Vitals
from cluster.launcher.secure import pasting
from cluster.launcher.story.durations import duration
from cluster.launcher.story.happenings import Happening

if TYPE_CHECKING:
    from cluster.launcher.local import LocalCluster
    from cluster.launcher.nodes.node import NodeProcess
    from cluster.launcher.nodes.probe import NodeStatus


class NodeView(NamedTuple):
    """The row of one node; `note` is a command that the user may want to type.

    None: nobody can tell. The values from `commit` on are those of NodeVitals, but for `vote`, the
    name of the member that the node voted for in its term.
    """

    name: str
    state: str
    term: int | None
    revision: int | None
    pid: int
    endpoint: str
    note: str
    commit: int | None = None
    applied: int | None = None
    lag: int | None = None
    caught_up: float | None = None
    db_size: int | None = None
    keys: int | None = None
    hash: int | None = None
    agrees: bool = True
    round_trip_ms: float | None = None
    sync_p99_ms: float | None = None
    vote: str | None = None
    connected: int | None = None
    others: int | None = None

    def with_vitals(self, vitals: NodeVitals, vote: str | None) -> NodeView:
        """The row with these values; `vote` is the name of the member that `vitals.vote` means."""
        catches_up = vitals.caught_up is not None and self.state in {"follower", "learner"}
        values = {**vitals._asdict(), "vote": vote}
        return self._replace(state="catching up" if catches_up else self.state, **values)


class ClusterView(NamedTuple):
    """The whole cluster; `leader` is a name, or None when no leader is known.

    `links` says in words which links are cut, slow or lossy by a user's wish.
    """

    leader: str | None
    term: int
    revision: int
    nodes: tuple[NodeView, ...]
    links: tuple[str, ...] = ()

    def line(self) -> str:
        """The cluster in one line."""
        head = f"{self.leader} leads (term {self.term})" if self.leader else "no leader"
        rows = ", ".join(
            f"{row.name} {row.state} pid {row.pid}" if row.pid else f"{row.name} {row.state}"
            for row in self.nodes
        )
        return f"{head}, revision {self.revision}: {rows}"


class Screen(Protocol):
    """Where a supervisor shows what happens and the cluster, and reads the user's commands.

    A screen never waits for its terminal or its reader.
    """

    def open(self) -> None:
        """Begin to show, and to read commands."""

    def close(self) -> None:
        """End both, and restore the terminal."""

    def wake(self) -> None:
        """Draw again: the process was stopped and goes on."""

    def tell(self, happening: Happening) -> None:
        """Show what has happened, if it is for people: a reader of the journal."""

    def say(self, text: str) -> None:
        """Answer a line that was typed at this screen."""

    def clear(self) -> None:
        """Empty the screen, if it can be."""

    def show(self, view: ClusterView) -> None:
        """Show the present state of the cluster; called a few times a second, and when the
        terminal has got another size."""

    def input_fd(self) -> int | None:
        """The descriptor to poll for typed commands; None when there is none."""

    def typed(self) -> Iterable[str]:
        """The lines typed since the last call; call when `input_fd` is readable."""


def view_of(cluster: LocalCluster, leader: str | None, now: float, vitals: Vitals) -> ClusterView:
    """The cluster at `now` (time.monotonic seconds)."""
    rows = [_row(cluster, node, leader, now, vitals) for node in cluster.nodes.values()]
    return view_with(leader, rows, cluster.links.active)


def view_with(
    leader: str | None, rows: Sequence[NodeView], links: tuple[str, ...] = ()
) -> ClusterView:
    """The cluster whose nodes have these rows: its term and its revision are the newest of them."""
    return ClusterView(
        leader=leader,
        term=max((row.term or 0 for row in rows), default=0),
        revision=max((row.revision or 0 for row in rows), default=0),
        nodes=tuple(rows),
        links=links,
    )


def role_of(status: NodeStatus, leads: bool) -> str:
    """The role of a node that answers."""
    if leads:
        return "leader"
    if not status.leader:
        return "no leader"
    return "learner" if status.is_learner else "follower"


def _row(
    cluster: LocalCluster, node: NodeProcess, leader: str | None, now: float, vitals: Vitals
) -> NodeView:
    state = node.condition(now, cluster.awake_since)
    status = node.status if state == "running" else None
    if status is not None:
        state = role_of(status, node.name == leader)
    if status is not None and state != "leader" and _is_isolated(cluster, node):
        state = "isolated"
    note = f"kill -9 {node.pid}" if node.running else f"restart {node.name}"
    row = NodeView(
        name=node.name,
        state=state,
        term=status.term if status else None,
        revision=status.revision if status else None,
        pid=node.pid if node.running else 0,
        endpoint=node.endpoint if not node.is_removed else "-",
        note=note if not node.is_removed else "",
    )
    if status is None:
        return row
    told = vitals.of(node.name, leader, now)
    names = {each.member_id: each.name for each in cluster.nodes.values()}
    return row.with_vitals(told, names.get(told.vote or 0))


def _is_isolated(cluster: LocalCluster, node: NodeProcess) -> bool:
    """Whether a user has cut its links to all other members, one way or both ways."""
    others = [each.name for each in cluster.members if each is not node]
    return bool(others) and not any(cluster.links.reaches(node.name, other) for other in others)


def banner(cluster: LocalCluster, version: str, took_seconds: float, kept: bool) -> str:
    """How to use the cluster that has just started."""
    leasectl = leasectl_command()
    count = len(cluster.members)
    nodes = "1 node" if count == 1 else f"{count} nodes"
    data = f"data in {cluster.data_dir}" if kept else "its data goes when it stops"
    secure = cluster.secure
    pasted = [*pasting.about_users(secure), *pasting.lines(cluster.endpoints, secure)]
    return "\n".join(
        [
            f"leasehold {version}: {nodes}, ready in {duration(took_seconds)}, {data}",
            "",
            *(f"  {line}" for line in pasted),
            f"  {leasectl} put greeting hello",
            f"  {leasectl} get greeting",
            f"  {ctl_command(cluster, kept)} kill leader",
            *(f"\n  {note}" for note in cluster.notes_on_ports()),
        ]
    )


def ctl_command(cluster: LocalCluster, kept: bool) -> str:
    """How to give commands to this launcher from another terminal in this directory."""
    program = sys.argv[0] if os.access(sys.argv[0], os.X_OK) else f"{sys.executable} {sys.argv[0]}"
    is_usual = not kept or cluster.data_dir == Path(DATA_DIR)
    return f"{program} {CTL}" + ("" if is_usual else f" --data-dir {cluster.data_dir}")


def leasectl_command() -> str:
    """How to call leasectl from this directory.

    In a virtual environment that is not active, leasectl is beside its Python, and not on the path.
    """
    if shutil.which("leasectl"):
        return "leasectl"
    beside, here = Path(sys.executable).with_name("leasectl"), Path.cwd()
    if not beside.exists():
        return f"{sys.executable} -m cluster.cli"  # not installed: in the checkout
    return str(beside.relative_to(here) if beside.is_relative_to(here) else beside)


def node_lines(view: ClusterView) -> Sequence[str]:
    """A line for each node: its address, its pid, its state, and the command that kills it."""
    return [
        f"  {row.name}  {row.endpoint:<15}  pid {row.pid:<7}  {row.state:<11}  {row.note}"
        for row in view.nodes
    ]
