"""`python -m cluster.launcher.probing FD`: the probe client, on the channel at this descriptor."""

from __future__ import annotations

import socket
import sys

from cluster.launcher.probing.client import run

if __name__ == "__main__":
    run(socket.socket(fileno=int(sys.argv[1])))
