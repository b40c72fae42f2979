"""How a node and its front write their logs: lines on stderr, with the time in UTC.

Refuses to know what is logged.
"""

from __future__ import annotations

import logging
import sys
import time


def log_to_stderr(level: int) -> None:
    """Write what is logged from this level on to stderr."""
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)-8s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S"
    )
    # UTC, so that the logs of several hosts can be read side by side.
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
