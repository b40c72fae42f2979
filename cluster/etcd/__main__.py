"""`python -m cluster.etcd`: one front, started by its node, which tells it on stdin what to serve.

Everything is imported before stdin is read, so a node may start its front early. Refuses to know
what the two processes of a front do: `keeper` and `serving` do.
"""

from __future__ import annotations

import sys
from typing import Final

from cluster.etcd.keeper import FrontKeeper
from cluster.etcd.serving import serve
from cluster.front_config import from_line
from cluster.logs import log_to_stderr

CONFIG_BYTES_MAX: Final = 64 * 1024


def main() -> int:
    """Serve until the node ends, or asks for the end by SIGTERM; the exit status."""
    line = sys.stdin.buffer.readline(CONFIG_BYTES_MAX)
    if not line.endswith(b"\n"):
        return 0  # the node has ended, or it needs no front
    config = from_line(line)
    log_to_stderr(config.name, config.log_level, config.log_format)
    return FrontKeeper(config.life, lambda: serve(config)).run()


if __name__ == "__main__":
    sys.exit(main())
