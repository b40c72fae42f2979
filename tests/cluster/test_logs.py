"""The two formats of the log, the lines that are held back, and what a launcher is handed."""

from __future__ import annotations

import io
import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster.logs import (
    OF_NODES,
    JsonLines,
    LogLines,
    Telling,
    TextLines,
    complain,
    log,
    tell,
)

LOG = logging.getLogger("leasehold.test")


class Desk:
    """A log whose lines a test reads; nothing else gets what is logged meanwhile."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self.lines = LogLines(formatter)
        self.lines.setStream(io.StringIO())
        for logger in (LOG, log):
            logger.addHandler(self.lines)
            logger.setLevel(logging.INFO)

    def text(self) -> str:
        """What was written."""
        return str(self.lines.stream.getvalue())

    def close(self) -> None:
        """Log elsewhere again."""
        for logger in (LOG, log):
            logger.removeHandler(self.lines)
            logger.setLevel(logging.NOTSET)


@pytest.fixture
def text_desk() -> Iterator[Desk]:
    desk = Desk(TextLines("n1"))
    yield desk
    desk.close()


@pytest.fixture
def json_desk() -> Iterator[Desk]:
    desk = Desk(JsonLines("n1"))
    yield desk
    desk.close()


def test_a_line_has_its_time_its_level_and_the_nodes_name(text_desk: Desk) -> None:
    LOG.warning("the disk is nearly full")
    at, rest = text_desk.text().split(" ", 1)
    assert rest == "WARNING  n1: the disk is nearly full\n"
    assert at.endswith("Z")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(at)) < timedelta(hours=1)


def test_what_a_stranger_sent_forges_no_line(text_desk: Desk) -> None:
    LOG.warning("ignored %s", "a\n2026-01-01T00:00:00.000Z INFO n1: all is well\x1b[2J")
    assert text_desk.text().count("\n") == 1
    assert r"a\n2026" in text_desk.text()
    assert "\x1b" not in text_desk.text()


def test_a_traceback_stays_readable(text_desk: Desk) -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        LOG.exception("it failed")
    assert text_desk.text().endswith("ValueError: wrong\n")


def test_json_has_the_fields_of_what_is_told(json_desk: Desk) -> None:
    tell("follows", "follows n2, the leader of term 3", leader="n2", term=3)
    line = json.loads(json_desk.text())
    assert line.pop("time").endswith("Z")
    text = "follows n2, the leader of term 3"
    told = {"kind": "follows", "text": text, "leader": "n2", "term": 3}
    assert line == {"level": "info", "node": "n1", **told}


def test_json_has_a_traceback_as_one_field(json_desk: Desk) -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        LOG.warning("it failed", exc_info=True)
    line = json.loads(json_desk.text())
    assert (line["level"], line["text"]) == ("warn", "it failed")
    assert "ValueError: wrong" in line["exception"]


def test_the_same_line_is_held_back_and_its_count_is_written_at_the_end(text_desk: Desk) -> None:
    for _ in range(3):
        LOG.warning("the same")
    LOG.warning("another")
    assert text_desk.text().count("the same") == 1
    text_desk.lines.close()
    assert "the same (2 times in 0 s)" in text_desk.text()


def test_counts_that_are_written_before_the_end_are_not_written_again(text_desk: Desk) -> None:
    for _ in range(2):
        LOG.warning("the same")
    text_desk.lines.say_rest()
    LOG.critical("the last words")
    text_desk.lines.close()
    assert text_desk.text().endswith("the last words\n")
    assert text_desk.text().count("the same (once in 0 s)") == 1


def test_complaints_of_one_key_are_one_line(text_desk: Desk) -> None:
    for sender in range(100):
        complain(LOG, "strangers", f"ignored a frame of {sender}")
    assert text_desk.text().count("\n") == 1


# --- a launcher -------------------------------------------------------------------------------


def test_a_launcher_is_told_whatever_the_level(text_desk: Desk) -> None:
    told: list[Mapping[str, Any]] = []
    telling = Telling(told.append)
    log.addHandler(telling)
    log.setLevel(logging.DEBUG)
    text_desk.lines.setLevel(logging.INFO)
    try:
        tell("role", "is a follower in term 2", level=logging.DEBUG, role="follower", term=2)
        LOG.warning("not told: it is no happening")
    finally:
        log.removeHandler(telling)
    (line,) = told
    assert (line["kind"], line["role"], line["term"]) == ("role", "follower", 2)
    assert line["text"] == "is a follower in term 2"
    assert abs(line["at"] - time.monotonic()) < 3_600 > abs(line["wall"] - time.time())
    assert "follower" not in text_desk.text()


# --- the page ---------------------------------------------------------------------------------


def test_the_page_has_every_kind_with_its_fields() -> None:
    page = (Path(__file__).resolve().parents[2] / "actors" / "DESIGN.md").read_text()
    section = page.partition("## What a node says")[2].partition("## Limits")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    shown = {kind: set(re.findall(r"\w+", fields)) for kind, fields in rows}
    assert shown.keys() == OF_NODES.keys()
    for kind, fields in shown.items():
        assert fields <= set(re.findall(r"\w+", OF_NODES[kind])), kind
