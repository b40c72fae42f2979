"""`python -m cluster.launcher.probing FD KEY_FILE`: the probe client.

Its channel is at the descriptor FD. KEY_FILE holds its own key; it is empty where nodes have none.
"""

from __future__ import annotations

import socket
import sys

from cluster.launcher.probing.client import run

if __name__ == "__main__":
    run(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
