"""Desk: all that a command may use, and who has asked for it.

A command's outcome is told in the journal, for everybody. `say` answers only whoever asked.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Set
from typing import Protocol

from cluster.launcher.commands.jobs import Jobs
from cluster.launcher.local import LocalCluster
from cluster.launcher.naming import Fit
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.nodes.node import NodeProcess
from cluster.launcher.probing.prober import Prober
from cluster.launcher.screens.view import ClusterView
from cluster.launcher.shows.load import BackgroundLoad
from cluster.launcher.shows.show import Shows
from cluster.launcher.story.journal import Journal


class Asker(Protocol):
    """Who typed a command: the prompt, another terminal, the page."""

    via: str
    """prompt, ctl, page, tour, chaos"""

    @property
    def conversation(self) -> Hashable:
        """What its commands belong to: those for keys are done in turn within one conversation."""

    def say(self, text: str) -> None:
        """Show this to whoever asked, and to nobody else."""

    def clear(self) -> None:
        """Empty the screen, if it is one."""

    def done(self, error: str = "") -> None:
        """The command has ended; with an error, it was refused or has failed."""

    @property
    def is_there(self) -> bool:
        """Whether somebody still waits for an answer."""


class LoopPart(Protocol):
    """Something that the main loop serves beside the nodes: a server, a client, a show."""

    @property
    def due(self) -> float:
        """When `serve` must be called next (time.monotonic seconds), if nothing is readable."""

    def fds(self) -> Iterable[int]:
        """The descriptors to wait for."""

    def serve(self, ready: Set[int], now: float) -> None:
        """Do what is to be done; called each time round the loop. `ready` can be read."""

    def close(self) -> None:
        """The loop has ended."""


class Desk:
    """What commands use. `leader` is the node that is known to lead now, or None."""

    def __init__(
        self,
        cluster: LocalCluster,
        jobs: Jobs,
        view: Callable[[float], ClusterView],
        obey: Callable[[str, Asker], None],
        finish: Callable[[], None],
    ) -> None:
        self.cluster = cluster
        self.jobs = jobs
        self.view = view
        self.finish = finish
        self.prober: Prober | None = None
        self.shows = Shows()
        self.load = BackgroundLoad(cluster.journal, cluster.own_key_file)
        self._obey = obey
        self.asker: Asker = Nobody("python")

    def asked_by(self, asker: Asker) -> Desk:
        """The same desk, for another asker."""
        desk = copy.copy(self)
        desk.asker = asker
        return desk

    @property
    def journal(self) -> Journal:
        """What has happened."""
        return self.cluster.journal

    @property
    def leader(self) -> str | None:
        """The node that leads, as most nodes say."""
        return self.cluster.heard_leader

    def say(self, text: str) -> None:
        """Answer whoever asked."""
        self.asker.say(text)

    def obey(self, line: str, asker: Asker) -> None:
        """Do a command; the asker hears of its end."""
        self._obey(line, asker)

    def nodes(self, command: str, words: tuple[str, ...], fit: Fit) -> list[NodeProcess]:
        """The nodes that these words mean; LauncherError if there are none, or one is not fit."""
        if not words:
            names = [node.name for node in self.cluster.nodes.values() if fit.holds(node)]
            if not names:
                raise LauncherError(f"{command}: no node is {fit.word}")
            raise LauncherError(f"which node? For example: {command} {names[0]}")
        return self.cluster.pick(words, fit)

    def node(self, command: str, words: tuple[str, ...], fit: Fit) -> NodeProcess:
        """The one node that these words mean."""
        nodes = self.nodes(command, words, fit)
        if len(nodes) > 1:
            raise LauncherError(f"one node at a time: {command} {nodes[0].name}")
        return nodes[0]


class Nobody:
    """Asks, and does not listen."""

    is_there = True

    def __init__(self, via: str) -> None:
        self.via = self.conversation = via

    def say(self, text: str) -> None:
        """Nobody listens."""

    def clear(self) -> None:
        """There is no screen."""

    def done(self, error: str = "") -> None:
        """Nobody waits."""
