"""The live view: what is below the story at any size, and the whole in a real terminal."""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path

import pytest

from cluster.launcher.screens import canvas
from cluster.launcher.screens.editor import LineEditor, Shown
from cluster.launcher.screens.lines import joined, plain, width
from cluster.launcher.screens.live import LiveScreen
from cluster.launcher.screens.sheet import Sheet
from cluster.launcher.story.happenings import Happening
from tests.launcher.emulator import CLEAR, Child, Terminal
from tests.launcher.views import VIEW, node

PROMPT = Shown(None, "", "", ())

# --- the sheet --------------------------------------------------------------------------------


def happened(at: float, kind: str, **fields: object) -> Happening:
    return Happening(at, 1_700_000_000 + at, kind, "", "", fields)


def sheet() -> Sheet:
    """A sheet with a latency and a node that catches up."""
    made = Sheet()
    made.tell(happened(9.0, "probe", p99_ms=1.2, failed=0))
    made.tell(happened(9.5, "progress", what="catching up", victim="n3", done=30, total=40))
    return made


AT_80 = """\

node state    term commit applied lag  rev    db hash     rtt sync vote   pid
n1   leader      3  12451   12451   0 8123 1.2MB 3fa9c1 0.3ms <1ms n1   43127
n2   follower    3  12451   12451   0 8123 1.2MB 3fa9c1 0.3ms <1ms n1   43128
n3   killed      -      -       -   -    -     - -          -    - -        -
links: n2 -> n1 cut
n3 catching up ███████████████░░░░░ 75%

p99                                                 ▂  now 1.2 ms, worst 1.2 ms

leasehold> kill n
n1  n2  n3"""


def test_below_the_story_are_nodes_links_progress_latency_and_the_prompt() -> None:
    view = VIEW._replace(links=("n2 -> n1 cut",))
    picture = sheet().picture(view, Shown(None, "kill n", "", ("n1", "n2", "n3")), 79, 23, 10.0)
    assert joined(picture.lines) == AT_80
    assert (picture.row, picture.column) == (10, 17)


@pytest.mark.parametrize("columns", [1, 5, 20, 40, 59, 79, 119, 200])
@pytest.mark.parametrize("rows", [1, 2, 4, 7, 12, 40])
def test_it_never_needs_more_than_there_is(columns: int, rows: int) -> None:
    shown = Shown(
        None, "put \u8282\u70b9 " + "x" * 300, "tail", tuple(f"word{n}" for n in range(90))
    )
    picture = sheet().picture(VIEW._replace(links=("cut",)), shown, columns, rows, 10.0)
    assert len(picture.lines) <= rows
    assert all(width(plain(line)) <= columns for line in picture.lines)
    assert picture.row < rows and picture.column < columns


def test_where_there_is_little_room_the_prompt_and_the_nodes_remain() -> None:
    assert joined(sheet().picture(VIEW, PROMPT, 79, 1, 10.0).lines) == "leasehold>"
    lines = joined(sheet().picture(VIEW, PROMPT, 40, 4, 10.0).lines).splitlines()
    assert lines[0].startswith("node state") and lines[1].startswith("n1   leader")
    assert lines[2:] == ["and 2 more", "leasehold>"]


def test_of_a_long_line_what_is_around_the_cursor_is_shown() -> None:
    typed = Shown(None, "put key " + "x" * 100 + "END", "after", ())
    picture = sheet().picture(None, typed, 40, 10, 10.0)
    assert plain(picture.lines[-1]).startswith("leasehold> xxx")
    assert plain(picture.lines[-1])[picture.column - 3 : picture.column] == "END"


def test_a_search_is_shown_with_what_it_has_found() -> None:
    picture = sheet().picture(None, Shown("kil", "kill n1", "", ()), 40, 10, 10.0)
    assert plain(picture.lines[-1]) == "(search) kil: kill n1"


def test_progress_ends_when_all_is_done_or_nothing_is_heard() -> None:
    made = sheet()
    assert "75%" in joined(made.picture(None, None, 79, 10, 10.0).lines)
    assert "75%" not in joined(made.picture(None, None, 79, 10, 99.0).lines)
    made.tell(happened(9.9, "progress", what="catching up", victim="n3", done=40, total=40))
    assert "catching" not in joined(made.picture(None, None, 79, 10, 10.0).lines)
    made.tell(happened(9.9, "progress", what="chaos", victim="", done=3, total=30))
    assert "chaos ██" in joined(made.picture(None, None, 79, 10, 10.0).lines)
    made.tell(happened(9.9, "verdict", passed=False, why="it was stopped"))
    assert "chaos" not in joined(made.picture(None, None, 79, 10, 10.0).lines)


def test_without_utf_8_all_is_ascii() -> None:
    made = Sheet(is_utf8=False)
    made.tell(happened(9.0, "died", victim="n1"))
    made.tell(happened(9.0, "probe", p99_ms=None, failed=3))
    made.tell(happened(9.5, "progress", what="catching up", victim="n3", done=30, total=40))
    assert joined(made.picture(VIEW, PROMPT, 79, 20, 10.0).lines).isascii()


def test_a_node_that_catches_up_is_said_to_in_the_table() -> None:
    view = VIEW._replace(nodes=(node(state="catching up", caught_up=0.25),))
    assert "n1   has 25%" in joined(sheet().picture(view, None, 79, 10, 10.0).lines)


# --- in a terminal ----------------------------------------------------------------------------

STAGE = ("-m", "tests.launcher.stage", "auto")


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """The stage, with its prompt in a terminal of 80 columns and 24 rows."""
    with Child([*STAGE, str(tmp_path / "history")]) as started:
        started.shows("leasehold> ".rstrip())
        yield started


def at_prompt(text: str) -> Callable[[Terminal], bool]:
    """Whether the line with the cursor is the prompt with this text, and the cursor behind it."""

    def holds(terminal: Terminal) -> bool:
        line = f"leasehold> {text}"
        shown = "".join(terminal.cells[terminal.row])[: terminal.column]
        return shown == line

    return holds


class Written:
    """Stands where the way to the terminal is, and keeps what would be written."""

    is_idle = True

    def __init__(self, descriptor: int) -> None:
        self.data = b""

    def put(self, data: bytes) -> None:
        """Keep it."""
        self.data += data


def test_a_picture_has_the_size_for_which_the_terminal_is_cleared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whenever the terminal gets another size."""
    sizes = chain(4 * [(80, 24)], repeat((40, 20)))
    monkeypatch.setattr(os, "get_terminal_size", lambda _: next(sizes))
    monkeypatch.setattr(canvas, "is_in_foreground", lambda _: True)
    monkeypatch.setattr(canvas, "Outlet", Written)
    with Path(os.devnull).open("w", encoding="utf-8") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        screen = LiveScreen(LineEditor())
        screen.open()
        for _ in range(3):
            screen.show(VIEW)
        monkeypatch.undo()
    outlet = screen._canvas._outlet
    assert isinstance(outlet, Written)
    before, cleared, after = outlet.data.rpartition(CLEAR)
    Terminal(80, 24).feed(before)
    terminal = Terminal(40, 20)
    terminal.feed(cleared + after)
    assert cleared and terminal.lines[1].startswith("node state")


@pytest.mark.process
def test_the_story_scrolls_above_the_sheet_and_survives_a_resize(child: Child) -> None:
    child.type("probe 1.2\rdie n1\rsay well then\r")
    child.shows("n1   killed")
    lines = child.until(lambda terminal: "well then" in terminal.lines)
    assert lines[0:2] == ["leasehold> probe 1.2", "leasehold> die n1"]
    assert lines[2].endswith("  n1 was killed by SIGKILL")
    assert lines[3:6] == ["leasehold> say well then", "well then", ""]
    assert lines[7].startswith("n1   killed")
    child.resize(40, 20)
    child.shows("term commit lag  rev")
    # The prompt is below the table, so it is drawn after it.
    lines = child.until(lambda terminal: "leasehold>" in terminal.lines)
    assert lines.count("leasehold>") == 1 and lines[4] == "well then"
    assert lines[-1] == "leasehold>"
    child.resize(100, 30)
    lines = child.shows("vote")
    assert [line for line in lines if "well then" in line] == [
        "leasehold> say well then",
        "well then",
    ]
    for number in range(40):
        child.type(f"say line {number}\r")
    child.shows("line 39")
    said = [
        line for line in [*child.terminal.scrolled, *child.terminal.lines] if line[:4] == "line"
    ]
    assert said == [f"line {number}" for number in range(40)]


@pytest.mark.process
def test_keys_edit_complete_search_and_remember(child: Child, tmp_path: Path) -> None:
    child.type("say l\t")
    child.until(at_prompt("say leader "))
    child.type("\x01\x1b[3~S\x1b[F!")
    child.until(at_prompt("Say leader !"))
    child.type("\x15kill n\t")
    assert child.shows("n1  n2  n3")[-2:] == ["leasehold> kill n", "n1  n2  n3"]
    child.type("\x15\x12lead")
    child.type("\x07say done\r\x1b[A")
    child.until(at_prompt("say done"))
    child.type("\x15quit\r")
    child.ends()
    assert child.terminal.modes == {"?2004": False, "?2026": False, "?25": True}
    assert child.terminal.lines[-1] == "leasehold> quit"
    assert (tmp_path / "history").read_text() == "say done\nquit\n"


@pytest.mark.process
def test_a_stopped_program_draws_again_below_what_others_wrote(child: Child) -> None:
    before = termios.tcgetattr(child.descriptor)
    os.kill(child.pid, signal.SIGSTOP)
    child.terminal.feed(b"\r\n$ fg\r\n")
    os.kill(child.pid, signal.SIGCONT)
    lines = child.until(lambda terminal: terminal.lines.count("leasehold>") == 2)
    assert "$ fg" in lines[: -len(VIEW.nodes)]
    assert termios.tcgetattr(child.descriptor) == before


@pytest.mark.process
def test_no_color_is_obeyed_and_nothing_else_is_lost(tmp_path: Path) -> None:
    for environment, has_colours in (({"NO_COLOR": "1"}, False), ({}, True)):
        with Child([*STAGE, str(tmp_path / "history")], environment=environment) as child:
            child.shows("leasehold>")
            child.type("die n2\r")
            child.shows("n2 was killed")
            child.type("probe 600\r")
            child.shows("600 ms")
            assert bool(child.terminal.colours) == has_colours


@pytest.mark.process
def test_a_dumb_terminal_gets_lines(tmp_path: Path) -> None:
    with Child([*STAGE, str(tmp_path / "h")], 200, environment={"TERM": "dumb"}) as child:
        (line,) = child.shows("n1 leads (term 3)")
        assert line.endswith("n1 leader pid 43127, n2 follower pid 43128, n3 killed")
        child.type("die n2\nsay well then\n")
        lines = child.until(lambda terminal: "well then" in terminal.lines)
        assert any(line.endswith("  n2 was killed by SIGKILL") for line in lines)
        assert not child.terminal.modes
        child.type("quit\n")
        child.ends()


@pytest.mark.process
def test_commands_from_a_pipe_work_too_and_then_there_is_no_prompt(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with Child([*STAGE, str(tmp_path / "history")], stdin=reader) as child:
        os.close(reader)
        lines = child.shows("n3   killed")
        assert lines[-1].startswith("n3") and child.terminal.modes["?25"] is False
        os.write(writer, b"die n1\nquit\n")
        child.ends()
        assert child.terminal.lines[1].endswith("  n1 was killed by SIGKILL")
        assert child.terminal.modes["?25"]
    os.close(writer)


@pytest.mark.process
def test_a_terminal_that_is_stopped_stops_nothing_else(child: Child) -> None:
    child.type("\x13")  # Ctrl-S
    for number in range(200):
        child.type(f"say line {number} {'x' * 200}\r")
    child.type("quit\r")
    child.ends()
