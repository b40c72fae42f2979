"""Logs: how a node and its front say what happens: lines on stderr, and happenings for a launcher.

It owns the kinds of what nodes tell, the two formats of a line, and the rule that the same line is
written once a minute at most, with its count. Times are in UTC, so that the logs of several hosts
can be read side by side. Refuses to know who reads.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cluster.repeats import Due, Repeats

LOG_FORMATS: Final = ("text", "json")

OF_NODES: Final[Mapping[str, str]] = {
    "started": "the process runs: version, pid, flags (those that differ from their defaults),"
    " revision, index (of the store), log_index (the end of its log), term",
    "serving": "it is a member that answers clients: took_ms",
    "stopping": "it ends, because of: why",
    "role": "it is now: role (follower, pre_candidate, candidate, leader, learner), term",
    "suspected": "it takes the leader for lost: leader, how (connection, timeout, transfer), term,"
    " silent_ms",
    "asked_for_votes": "it asks for votes: term, pre (true: a pre-vote, which changes nothing)",
    "voted": "it answers who asked: candidate, term, pre, granted, why",
    "elected": "it leads: term, votes (the names that voted for it), took_ms",
    "follows": "it knows a new leader: leader, term",
    "stepped_down": "it leads no longer: term, why",
    "peer_lost": "another member does not answer: peer, how (connection, timeout)",
    "peer_found": "another member answers: peer, away_ms (null: it was not lost before)",
    "near_miss": "the leader was heard late, but in time: leader, silent_ms, timeout_ms",
    "snapshot_sent": "it sends its data to a member that lags: peer, done_bytes, total_bytes",
    "snapshot_installed": "it took over another's data: revision",
    "slow": "its disk or its loop took long: what, took_ms; or its launcher did: what, untold (the"
    " number of happenings that it was not told)",
    "message": "recorded at its links: to, what (append, heartbeat, vote...), term, entries, bytes,"
    " lost (true: a fault swallowed it), more (the number that was not told since the last)",
}
"""What nodes tell, and the fields of each. Members are named by their names."""

_LEVELS: Final = {logging.WARNING: "warn", logging.CRITICAL: "fatal"}
"""The levels whose names in JSON are not Python's."""

PACKET_BYTES_MAX: Final = 64 * 1024
"""A node and its launcher read packets of up to this size; no larger one is told."""

log = logging.getLogger("leasehold.told")


def tell(
    kind: str, text: str, /, *, level: int = logging.INFO, key: str = "", **fields: Any
) -> None:
    """Something of OF_NODES has happened; lines of one `key` count as the same line.

    Below the level of the log it is told to a launcher all the same.
    """
    assert kind in OF_NODES, f"{kind} is no kind of happening"
    log.log(level, "%s", text, extra={"kind": kind, "fields": fields, "key": key})


def complain(logger: logging.Logger, key: str, text: str) -> None:
    """Warn of something that may come at any rate: all that has one `key` is one line."""
    logger.warning("%s", text, extra={"key": key})


# --- lines ------------------------------------------------------------------------------------


def iso_utc(wall: float) -> str:
    """A time in seconds since 1970 as `2026-11-27T03:20:00.123Z`."""
    moment = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


class TextLines(logging.Formatter):
    """A line for people: time, level, the node's name, what happened."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        text = on_one_line(record.getMessage()) + _times(record)
        line = f"{iso_utc(record.created)} {record.levelname:8} {self._name}: {text}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonLines(logging.Formatter):
    """A line for programs: one JSON object, with the fields of what is told."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        line = _head(record.created, record.levelno, self._name)
        if kind := getattr(record, "kind", ""):
            line["kind"] = kind
        line["text"] = record.getMessage() + _times(record)
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _head(wall: float, level: int, name: str) -> dict[str, Any]:
    """What each line of JSON begins with."""
    word = _LEVELS.get(level, logging.getLevelName(level).lower())
    return {"time": iso_utc(wall), "level": word, "node": name}


def last_line(program: str, name: str, text: str, log_format: str) -> str:
    """The last line of a program that ends for a reason: for programs in the form of the log."""
    if log_format != "json":
        return f"{program}: {text}\n"
    return json.dumps({**_head(time.time(), logging.CRITICAL, name), "text": text}) + "\n"


def on_one_line(text: str) -> str:
    """A text whose control characters are escaped: what a stranger sent must not forge a line."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def _times(record: logging.LogRecord) -> str:
    """How often the line has come, if it was held back before."""
    due: Due[logging.LogRecord] | None = getattr(record, "due", None)
    if not due or not due.times:
        return ""
    times = "once" if due.times == 1 else f"{due.times} times"
    return f" ({times} in {due.past_ms // 1_000} s)"


class LogLines(logging.StreamHandler[Any]):
    """The lines on stderr: the same one at most once a minute."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(formatter)
        self._repeats: Repeats[logging.LogRecord] = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        key = getattr(record, "key", "") or record.getMessage()
        due = self._repeats.take(key, record, monotonic_ms())
        if due is not None:
            self._write(due)

    def say_counts(self) -> None:
        """Write the counts that are due."""
        self._write_counts(self._repeats.due)

    def say_rest(self) -> None:
        """Write the counts that are left: the log ends."""
        self._write_counts(self._repeats.rest)

    def close(self) -> None:
        """Write the counts that are left."""
        self.say_rest()
        super().close()

    def _write_counts(self, counted: Callable[[int], list[Due[logging.LogRecord]]]) -> None:
        self.acquire()
        try:
            for due in counted(monotonic_ms()):
                self._write(due)
        finally:
            self.release()

    def _write(self, due: Due[logging.LogRecord]) -> None:
        due.line.due = due
        super().emit(due.line)


def log_to_stderr(name: str, level: int, log_format: str) -> None:
    """Write what is logged from this level on to stderr, in one of LOG_FORMATS."""
    lines = LogLines(JsonLines(name) if log_format == "json" else TextLines(name))
    lines.setLevel(level)
    logging.basicConfig(level=level, handlers=[lines])


def say_counts() -> None:
    """Write how often lines have come that were held back; call it once a minute."""
    for lines in _all_log_lines():
        lines.say_counts()


def say_rest() -> None:
    """Write the counts that are left; call it before a process's last words."""
    for lines in _all_log_lines():
        lines.say_rest()


def _all_log_lines() -> list[LogLines]:
    return [each for each in logging.getLogger().handlers if isinstance(each, LogLines)]


# --- a launcher -------------------------------------------------------------------------------


class Telling(logging.Handler):
    """Hands what is told to a launcher; `hand_over` must not wait."""

    def __init__(self, hand_over: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__()
        self._hand_over = hand_over

    def emit(self, record: logging.LogRecord) -> None:
        if kind := getattr(record, "kind", ""):
            text, fields = record.getMessage(), record.__dict__["fields"]
            self._hand_over(told(kind, text, time.monotonic(), record.created, fields))


def told(kind: str, text: str, at: float, wall: float, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Something of OF_NODES as a launcher is told it; `at` is of the host's monotonic clock."""
    return {"kind": kind, "at": at, "wall": wall, "text": text, **fields}


def tell_to(hand_over: Callable[[Mapping[str, Any]], None]) -> None:
    """Tell a launcher all that is told from now on, whatever the level of the log."""
    log.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(Telling(hand_over))


def monotonic_ms() -> int:
    """The clock by which lines are held back."""
    return time.monotonic_ns() // 1_000_000
