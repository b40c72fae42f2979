"""`load "put=1,get=4,watch=20 @500/s"`: what a load is, and the process that makes it.

It owns the words of a load, and its process from the launcher's side. The requests are made by
`loading`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.story.journal import Journal
from cluster.processes import import_environment

RATE_DEFAULT: Final = 100
RATE_MAX: Final = 5_000
"""Requests a second; more is the business of `leasectl bench`."""

WATCHES_MAX: Final = 500
WEIGHT_MAX: Final = 1_000

END_SECONDS: Final = 5.0
"""A load that runs this long after it was told to end is killed."""

REPORT_BYTES: Final = 64 * 1024
EXAMPLE: Final = "put=1,get=4,watch=20 @500/s"

_RATE: Final = re.compile(r"@(\d{1,9})(?:/s)?")
_PART: Final = re.compile(r"([A-Za-z]+)=(\d{1,9})")


class LoadMix(NamedTuple):
    """A load: of `per_second` requests, `put` and `get` in this proportion; and open watches."""

    put: int = 1
    get: int = 0
    watch: int = 0
    per_second: int = RATE_DEFAULT

    def words(self) -> str:
        """It as it is typed."""
        parts = [f"{name}={getattr(self, name)}" for name in ("put", "get", "watch")]
        shown = [part for part in parts if not part.endswith("=0")]
        return f"{','.join(shown)} @{self.per_second}/s"


def parse(words: Sequence[str]) -> LoadMix:
    """The load that these words mean; LauncherError with one line on what is wrong."""
    parts = [part for word in words for part in re.split(r"[\s,]+", word) if part]
    given: dict[str, int] = {}
    for part in parts:
        name, value = _read(part)
        if name in given:
            what = "the rate" if name == "per_second" else name
            raise LauncherError(f"load: {what} is given twice")
        given[name] = value
    if not given.get("put", 0) + given.get("get", 0) + given.get("watch", 0):
        raise LauncherError(f"load: what? For example: load {EXAMPLE}")
    return LoadMix(**{"put": 0, **given})


def _read(part: str) -> tuple[str, int]:
    rate = _RATE.fullmatch(part)
    if rate is not None:
        return "per_second", _within("the rate", int(rate[1]), 1, RATE_MAX)
    found = _PART.fullmatch(part)
    name = found[1].casefold() if found else ""
    if found is None or name not in {"put", "get", "watch"}:
        raise LauncherError(f"load: {part} is not put=N, get=N, watch=N or @N/s ({EXAMPLE})")
    return name, _within(name, int(found[2]), 0, WATCHES_MAX if name == "watch" else WEIGHT_MAX)


def _within(name: str, value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise LauncherError(f"load: {name} must be {low} to {high:,}, not {value:,}")
    return value


class Second(NamedTuple):
    """What a load did in its last second."""

    puts: int
    gets: int
    events: int
    failed: int
    waiting: int
    p50_ms: float
    p99_ms: float

    def line(self) -> bytes:
        """It as the process of the load tells it."""
        return json.dumps(self._asdict()).encode() + b"\n"

    def words(self) -> str:
        """In one line for people."""
        return (
            f"{self.puts} puts, {self.gets} gets, {self.events} events in the last second,"
            f" {self.failed} failed, {self.waiting} under way,"
            f" p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms"
        )


class LoadProcess:
    """A load that runs beside the launcher, and ends when it does.

    Its key, for endpoints that name the keys of nodes, is in `key_file`.
    """

    def __init__(self, load: LoadMix, endpoints: Iterable[str], key_file: str) -> None:
        self.load = load
        self.latest: Second | None = None
        self._unread = b""
        command = (sys.executable, "-P", "-m", "cluster.launcher.shows")
        self._process = subprocess.Popen(
            (*command, json.dumps(load._asdict()), ",".join(endpoints), key_file),
            stdin=subprocess.PIPE,  # never written: its end tells that the launcher has ended
            stdout=subprocess.PIPE,
            env=import_environment(),
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.fd = self._process.stdout.fileno()
        self.pid = self._process.pid
        os.set_blocking(self.fd, False)

    def take(self) -> bool:
        """Read what it tells; whether it still runs."""
        try:
            data = os.read(self.fd, REPORT_BYTES)
        except BlockingIOError:
            return True
        *lines, self._unread = (self._unread + data).split(b"\n")
        if lines:
            self.latest = Second(**json.loads(lines[-1]))
        return bool(data)

    def end(self) -> None:
        """End it, and wait for that."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


class BackgroundLoad:
    """The one load of a launcher, on or off; a part of its main loop."""

    due: Final = float("inf")

    def __init__(self, journal: Journal, key_file: str = "") -> None:
        self._journal = journal
        self._key_file = key_file
        self._running: LoadProcess | None = None

    @property
    def pid(self) -> int:
        """The process of the load; 0 without one."""
        return 0 if self._running is None else self._running.pid

    @property
    def latest(self) -> Second | None:
        """What the load has told last."""
        return None if self._running is None else self._running.latest

    def fds(self) -> Iterable[int]:
        """What to poll for the load."""
        return () if self._running is None else (self._running.fd,)

    def serve(self, ready: Iterable[int], now: float) -> None:
        """Hear the load."""
        running = self._running
        if running is not None and running.fd in ready and not running.take():
            self._end()
            self._journal.tell("load", "the load has ended by itself", load=None)

    def order(self, words: Sequence[str], endpoints: Iterable[str]) -> str:
        """Begin another load, end it (`off`), or say what it does (no words); the answer."""
        if not words:
            return self._words()
        if [word.casefold() for word in words] == ["off"]:
            if self._running is None:
                raise LauncherError(f"load: there is none. For example: load {EXAMPLE}")
            ended = self._running.load
            self._end()
            self._journal.tell("load", f"the load {ended.words()} is off", load=None)
            return ""
        load = parse(words)
        self._end()
        self._running = LoadProcess(load, endpoints, self._key_file)
        self._journal.tell("load", f"load: {load.words()}", load=load.words())
        return ""

    def close(self) -> None:
        """End the load, if there is one."""
        self._end()

    def _words(self) -> str:
        if self._running is None:
            return f"there is no load. For example: load {EXAMPLE}"
        latest = self._running.latest
        told = latest.words() if latest else "it has just begun"
        return f"load {self._running.load.words()}: {told}"

    def _end(self) -> None:
        if self._running is not None:
            self._running.end()
            self._running = None
