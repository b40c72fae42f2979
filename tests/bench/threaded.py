"""A node whose ZeroMQ has some I/O threads: `python -m tests.bench.threaded NUMBER FLAGS...`."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import zmq

import actors.node
from actors.__main__ import main

if __name__ == "__main__":
    number, *flags = sys.argv[1:]
    # The node makes one context, and that is all it uses of this module.
    vars(actors.node)["zmq"] = SimpleNamespace(Context=lambda: zmq.Context(int(number)))
    sys.exit(main(flags))
