"""A node whose disk and links a test may break: `python -m tests.chaos.node SOCKET FLAGS...`.

It is the product's node, but for what it reaches the world through. SOCKET is where the test
listens; the flags are those of `python -m actors`.
"""

from __future__ import annotations

import sys

from actors.__main__ import main
from actors.consensus import Outside
from actors.node import run_node
from actors.raft.frames import source_of
from actors.runtime.link_faults import FaultyDoor, FaultyLinks
from cluster.config import NodeConfig
from tests.chaos.controlled import FaultControl
from tests.chaos.faulty_disk import FaultyDisk


def run_under_control(socket: str, config: NodeConfig) -> int:
    """Run the node as the test at the socket wants it; the exit status."""
    control = FaultControl(socket, config.name)
    outside = Outside(
        FaultyDisk(control),
        lambda context, urls, lock: FaultyDoor(control, source_of, context, urls, lock),
        lambda context, on_change: FaultyLinks(control, context, on_change),
    )
    return run_node(config, outside)


if __name__ == "__main__":
    socket, *flags = sys.argv[1:]
    sys.exit(main(flags, lambda config: run_under_control(socket, config)))
