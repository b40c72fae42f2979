"""The screens for scripts: lines of text and lines of JSON, to pipes that may be slow or gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cluster.launcher.screens import outlet
from cluster.launcher.screens.choice import screen_for
from cluster.launcher.screens.editor import no_words
from cluster.launcher.screens.outlet import Outlet
from cluster.launcher.screens.plain import PlainScreen
from cluster.launcher.screens.wording import entry_of
from cluster.launcher.story.happenings import Happening
from tests.launcher.views import VIEW
from tests.limits import HANG_SECONDS

STAGE = (sys.executable, "-P", "-m", "tests.launcher.stage")


def staged(form: str, typed: str, tmp_path: Path) -> list[str]:
    """The lines that the stage writes to a pipe when these lines come from another."""
    words = [*STAGE, form, str(tmp_path / "history")]
    done = subprocess.run(
        words, input=typed, capture_output=True, text=True, timeout=HANG_SECONDS, check=True
    )
    assert not done.stderr
    return done.stdout.splitlines()


@pytest.mark.process
@pytest.mark.parametrize("form", ["plain", "auto"])
def test_in_a_pipe_there_are_lines_and_commands_work(form: str, tmp_path: Path) -> None:
    lines = staged(form, "die n1\nprobe 5\nquit", tmp_path)
    texts = [line.partition("  ")[2] or line for line in lines]
    leads = "n1 leads (term 3), revision 8123:"
    assert texts[:3] == [
        f"{leads} n1 leader pid 43127, n2 follower pid 43128, n3 killed",
        "> die n1",
        "n1 was killed by SIGKILL",
    ]
    assert "> probe 5" in texts
    assert not any("\x1b" in line for line in lines)


@pytest.mark.process
def test_json_is_one_happening_a_line(tmp_path: Path) -> None:
    documents = [
        json.loads(line) for line in staged("json", "die n1\nprobe 5\nsay hi\nquit", tmp_path)
    ]
    kinds = "command died command probe command answer command"
    assert [each["kind"] for each in documents] == kinds.split()
    died = documents[1]
    assert (died["victim"], died["node"]) == ("n1", "")
    assert died["time"].endswith("Z") and died["at"] > 0
    assert documents[5]["text"] == "hi"


# --- which happenings people read -------------------------------------------------------------


def entry(kind: str, text: str = "", source: str = "", **fields: object) -> str | None:
    found = entry_of(Happening(1.0, 1_700_000_000.0625, kind, source, text, fields))
    return found.text if found is not None else None


def test_what_comes_by_the_second_and_what_is_explained_is_not_for_people() -> None:
    assert [entry(kind) for kind in ("probe", "message")] == [None] * 2
    shown = [entry("progress", "n4 catches up", done=done, total=900) for done in (0, 1, 899, 900)]
    assert shown == ["n4 catches up", None, None, "n4 catches up"]
    assert entry("progress", "4 voters", done=1, total=2) == "4 voters"
    assert entry("voted", "gives n2 its vote", "n1") is None
    assert entry("died", "n1 was killed by SIGKILL") == "n1 was killed by SIGKILL"
    assert entry("slow", "a sync took 210 ms", "n2") == "n2: a sync took 210 ms"


def test_a_command_is_shown_with_whoever_typed_it() -> None:
    assert entry("command", line="kill n1", via="prompt") == "> kill n1"
    assert entry("command", line="kill n1", via="page") == "page> kill n1"


# --- the outlet -------------------------------------------------------------------------------


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    for descriptor in (reader, writer):
        with suppress(OSError):  # the test has closed it
            os.close(descriptor)


def test_of_the_states_of_an_election_only_the_last_has_a_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    moments = [(10.0, "n1"), (10.2, None), (10.4, "n2"), (10.8, "n2"), (10.9, "n2"), (12.0, "n2")]
    times = iter([at for at, _ in moments])
    screen = PlainScreen(sys.stderr, clock=lambda: next(times))
    for _, leader in moments:
        screen.show(VIEW._replace(leader=leader))
    screen.close()
    lines = capfd.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["n1", "n2"]


def test_further_lines_of_a_text_stand_below_the_first(
    capfd: pytest.CaptureFixture[str],
) -> None:
    screen = PlainScreen(sys.stderr, "run: ", statuses=False)
    screen.say("n1 died\nstart it again")
    screen.close()
    assert capfd.readouterr().err == "run: n1 died\n     start it again\n"


def test_what_is_put_arrives_in_order(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    out = Outlet(writer)
    for number in range(100):
        assert out.put(b"%d\n" % number)
    out.close()
    os.close(writer)
    with os.fdopen(os.dup(reader), "rb") as file:
        assert [int(line) for line in file] == list(range(100))


def test_nobody_waits_for_a_reader_and_what_is_too_much_is_counted(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = pipe
    monkeypatch.setattr(outlet, "WAITING_BYTES_MAX", 300_000)
    out = Outlet(writer)
    taken = [out.put(b"x" * 100_000) for _ in range(10)]
    assert taken.count(False) == out.take_dropped() > 0
    assert not out.is_idle and out.take_dropped() == 0
    arrived = 0
    while arrived < taken.count(True) * 100_000:
        arrived += len(os.read(reader, 1 << 20))
    out.close()
    assert out.is_idle


def test_a_reader_that_has_gone_ends_nothing(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    out = Outlet(writer)
    out.put(b"x")
    out.close()
    assert out.is_broken and out.is_idle
    assert out.put(b"y") and out.is_idle


def test_the_end_waits_for_a_slow_reader_only_for_a_moment(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, writer = pipe
    monkeypatch.setattr(outlet, "CLOSE_SECONDS", 0.01)
    out = Outlet(writer)
    out.put(b"x" * 1_000_000)
    closing = threading.Thread(target=out.close)
    closing.start()
    closing.join(HANG_SECONDS)
    assert not closing.is_alive()


def test_a_terminal_that_another_session_has_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, end = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(end, "w") as terminal, os.fdopen(controller):
        monkeypatch.setattr(sys, "stdout", terminal)
        assert isinstance(screen_for("auto", None, no_words), PlainScreen)
