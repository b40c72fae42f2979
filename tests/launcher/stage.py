"""A program with a screen and no cluster: lines typed to it are what happens.

`die n1`, `probe 84`, `fault isolate n2`, `say TEXT`, `revision 9`, `quit`. It shows three nodes.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import zmq

from cluster.launcher.screens.choice import Form, screen_for
from cluster.launcher.screens.view import ClusterView
from cluster.launcher.signals import Signals
from cluster.launcher.story.journal import Journal
from tests.launcher.views import VIEW

NAMES = ("leader", "n1", "n2", "n3")


def complete(before: str) -> list[str]:
    """The names of the nodes."""
    last = before.rpartition(" ")[2]
    return [name for name in NAMES if name.startswith(last)]


def act(journal: Journal, view: ClusterView, line: str) -> tuple[str, ClusterView]:
    """Do what a line says; the answer, and the view afterwards."""
    verb, _, rest = line.partition(" ")
    match verb:
        case "die":
            journal.tell("died", f"{rest} was killed by SIGKILL", victim=rest)
            rows = (row._replace(state="killed") if row.name == rest else row for row in view.nodes)
            return "", view._replace(nodes=tuple(rows))
        case "probe":
            journal.tell("probe", "", p99_ms=float(rest), failed=0)
        case "fault":
            journal.tell("fault", f"{rest} at a user's wish", what=rest, victims=[])
        case "revision":
            rows = (row._replace(revision=int(rest)) for row in view.nodes)
            return "", view._replace(nodes=tuple(rows))
        case "say":
            return rest, view
    return "", view


def main(form: Form, history: Path) -> None:
    """Show until `quit`."""
    view, journal = VIEW, Journal()
    with Signals() as signals:
        screen = screen_for(form, history, complete)
        journal.read_by(screen.tell)
        screen.open()
        shown = True
        while shown:
            screen.show(view)
            poller = zmq.Poller()
            fds = [fd for fd in (signals.fd, screen.input_fd()) if fd is not None]
            for fd in fds:
                poller.register(fd, zmq.POLLIN)
            ready = {fd for fd, _ in poller.poll(100)}
            if signals.fd in ready and signal.SIGCONT in signals.take():
                screen.wake()
            for line in screen.typed() if screen.input_fd() in ready else ():
                journal.tell("command", line, line=line, via="prompt")
                answer, view = act(journal, view, line)
                if answer:
                    screen.say(answer)
                if line == "quit":
                    shown = False
                    break
        screen.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))  # type: ignore[arg-type]
