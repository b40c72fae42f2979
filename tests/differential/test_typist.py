"""Who types the script: what it makes of a command that ends, that is interrupted, that hangs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import pytest

from tests.differential.cli_masks import Outcome
from tests.differential.cli_script import following, lines, piped
from tests.differential.cli_sides import TIMEOUT_CODE, Place, Typist

SHORT_SECONDS: Final = 2.0
"""Where a command hangs at once or later, but does in any case."""

PROGRAM: Final = """
import signal, sys
def say(*words): print(*words, flush=True)
def deaf_sleep():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    say("deaf")
    signal.pause()
match sys.argv[1:]:
    case ["echo", *words]: say(*words)
    case ["cat"]: say(sys.stdin.read())
    case ["fail", status]: sys.exit(int(status))
    case ["sleep"]:
        try: say("asleep"), signal.pause()
        except KeyboardInterrupt: say("woken"), sys.exit(130)
    case ["deaf"]: deaf_sleep()
"""


def typist(scratch: Path, **patience: float) -> Typist:
    place = Place("program", (sys.executable, "-c", PROGRAM), "endpoint:1", "peer:2")
    return Typist(place, scratch, **patience)


def test_a_command_ends_with_its_output_and_status(tmp_path: Path) -> None:
    user = typist(tmp_path)
    for step, outcome in (
        (lines("echo <endpoint> <scratch>"), Outcome("endpoint:1 <scratch>\n", "", 0)),
        (piped("cat", "typed"), Outcome("typed\n", "", 0)),
        (lines("fail 3"), Outcome("", "", 3)),
    ):
        assert user.type(*step) == outcome


def test_one_that_goes_on_is_interrupted_after_what_is_typed_meanwhile(tmp_path: Path) -> None:
    user = typist(tmp_path)
    outcome = user.type(*following("sleep", "echo other\nfail 4", 1, 1))
    assert outcome == Outcome("asleep\nwoken\nother\n0\n4\n", "", 130)


@pytest.mark.parametrize("lines_in_all", [1, 2])
def test_one_that_hangs_says_where_and_nothing_is_typed_after_it(
    tmp_path: Path, lines_in_all: int
) -> None:
    user = typist(tmp_path, patience=SHORT_SECONDS)
    hung = user.type(*following("deaf", "", 1, lines_in_all))
    assert (hung.stdout, hung.code) == ("", TIMEOUT_CODE)
    assert hung.stderr.startswith("it hung, after it had printed ")
    # Unless it hung before it could say anything, it has lines to tell.
    assert "in deaf_sleep" in hung.stderr or "had printed ''" in hung.stderr
    after = user.type(*lines("echo other"))
    assert (after.stdout, after.code) == ("", TIMEOUT_CODE)
    assert after.stderr.startswith("not typed")
