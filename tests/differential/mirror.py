"""`etcdctl make-mirror` from one server to another: what the second has in the end.

Owns the processes of etcdctl. Knows neither server.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tests.differential.cli_sides import Reader
from tests.limits import HANG_SECONDS

BEFORE: Final[tuple[tuple[str, ...], ...]] = (
    ("put", "from/a", "1"),
    ("put", "from/b", "2"),
    ("put", "other", "3"),
)
AFTER: Final[tuple[tuple[str, ...], ...]] = (
    ("del", "from/a"),
    ("put", "from/b", "4"),
    ("del", "from/none"),
)
TXN: Final = '\nput from/c "5"\nput from/d "6"\n\n\n'
LAST: Final[tuple[str, ...]] = ("put", "from/end", "")
SYNCED_LINES: Final = 6
"""What a watch of the copies prints of the keys that were there before: three lines for each."""

ALL_LINES: Final = SYNCED_LINES + 5 * 3
"""And of what was done while the mirror ran: the last key is the last of it."""


def mirrored(etcdctl: Path, source: str, destination: str) -> tuple[str, str]:
    """The keys of the source, and their copies, as `etcdctl get` prints them.

    Keys are there before the mirror begins, and are put and deleted while it runs.
    """
    for words in BEFORE:
        _typed(etcdctl, source, *words)
    mirror = ("make-mirror", destination, "--prefix=from/", "--dest-prefix=to/")
    with ExitStack() as stack:
        copies = stack.enter_context(
            _started(etcdctl, destination, "watch", "to/", "--prefix", "--rev=1")
        )
        stack.enter_context(_started(etcdctl, source, *mirror))
        copies.wait_for(SYNCED_LINES)
        _typed(etcdctl, source, "txn", stdin=TXN)
        for words in (*AFTER, LAST):
            _typed(etcdctl, source, *words)
        copies.wait_for(ALL_LINES)
    originals = _typed(etcdctl, source, "get", "from/", "--prefix")
    return originals, _typed(etcdctl, destination, "get", "to/", "--prefix")


def _typed(etcdctl: Path, endpoint: str, *words: str, stdin: str = "") -> str:
    ended = subprocess.run(
        [str(etcdctl), *words],
        env=_environment(endpoint),
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_SECONDS,
    )
    return ended.stdout


@contextmanager
def _started(etcdctl: Path, endpoint: str, *words: str) -> Iterator[Reader]:
    with subprocess.Popen(
        [str(etcdctl), *words],
        env=_environment(endpoint),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield Reader(process.stdout)
            process.send_signal(signal.SIGINT)
            process.wait(HANG_SECONDS)
        finally:
            process.kill()


def _environment(endpoint: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ETCDCTL_")}
    return {**kept, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": endpoint}
