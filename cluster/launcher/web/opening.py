"""The page of a launcher that runs: made of its main loop, and announced at its screen."""

from __future__ import annotations

from cluster.launcher.commands.table import COMMANDS
from cluster.launcher.screens.view import Screen
from cluster.launcher.supervisor import Supervisor
from cluster.launcher.web.web_page import Launcher, WebPage


def open_page(supervisor: Supervisor, screen: Screen, port: int | None) -> WebPage:
    """Serve the page, at this port or at one that is free. Raises LauncherError."""
    cluster = supervisor.cluster
    launcher = Launcher(
        obey=supervisor.obey,
        view=supervisor.view,
        record=cluster.links.record,
        commands=[(command.name, command.usage, command.help) for command in COMMANDS],
        endpoints=lambda: cluster.direct_endpoints,
        key_file=cluster.own_key_file,
    )
    page = WebPage(cluster.journal, cluster.data_dir, launcher, port)
    if supervisor.desk.prober is not None:
        supervisor.desk.prober.read_by(page.samples)
    screen.say(f"page: {page.url}")
    return page
