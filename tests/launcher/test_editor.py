"""The line editor: keys as terminals send them, pastes, history, search and completion."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cluster.launcher.screens import history
from cluster.launcher.screens.editor import QUIT, LineEditor
from cluster.launcher.screens.history import PromptHistory

LEFT, RIGHT, UP, DOWN = b"\x1b[D", b"\x1b[C", b"\x1b[A", b"\x1b[B"
HOME, END, DELETE = b"\x1b[H", b"\x1b[F", b"\x1b[3~"
CTRL_A, CTRL_D, CTRL_E, CTRL_K, CTRL_R = b"\x01", b"\x04", b"\x05", b"\x0b", b"\x12"
CTRL_U, CTRL_W, CTRL_Y, BACKSPACE, ENTER, TAB = b"\x15", b"\x17", b"\x19", b"\x7f", b"\r", b"\t"
WORD_LEFT, WORD_RIGHT, ALT_D = b"\x1b[1;5D", b"\x1bf", b"\x1bd"


def typed(*keys: bytes | str, editor: LineEditor | None = None) -> str:
    """The line after these keys, with a bar where the cursor is."""
    editor = editor or LineEditor()
    for key in keys:
        editor.feed(key.encode() if isinstance(key, str) else key)
    return f"{editor.before}|{editor.after}"


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (["kill n2"], "kill n2|"),
        (["kill n2", BACKSPACE, "3"], "kill n3|"),
        (["kll", LEFT, LEFT, "i"], "ki|ll"),
        (["kill", HOME, RIGHT, DELETE], "k|ll"),
        (["kill", CTRL_A, "x", CTRL_E, "y"], "xkilly|"),
        (["kill n2", CTRL_A, CTRL_D], "|ill n2"),
        (["kill n2", LEFT, LEFT, CTRL_K], "kill |"),
        (["kill n2", LEFT, LEFT, CTRL_U], "|n2"),
        (["kill n1 n2 ", CTRL_W], "kill n1 |"),
        (["kill n1 n2", WORD_LEFT, WORD_LEFT], "kill |n1 n2"),
        (["kill n1 n2", HOME, WORD_RIGHT, WORD_RIGHT], "kill n1| n2"),
        (["kill n1 n2", HOME, ALT_D], "| n1 n2"),
        (["kill n1", CTRL_W, CTRL_Y, " ", CTRL_Y], "kill n1 n1|"),
        (["x", LEFT, LEFT, LEFT, BACKSPACE, RIGHT, RIGHT, DELETE], "x|"),
        (["a\x1b[24~b\x1b[99;7xc\x00"], "abc|"),
    ],
)
def test_keys_edit_the_line_as_in_a_shell(keys: Sequence[bytes | str], line: str) -> None:
    assert typed(*keys) == line


def test_every_terminals_home_and_end_are_known() -> None:
    for home, end in ((b"\x1b[H", b"\x1b[F"), (b"\x1bOH", b"\x1bOF"), (b"\x1b[1~", b"\x1b[4~")):
        assert typed("ab", home, "x", end, "y") == "xaby|"


def test_enter_gives_the_line_and_control_d_on_an_empty_one_quits() -> None:
    editor = LineEditor()
    assert editor.feed(b"status\rkill n1\nres") == ["status", "kill n1"]
    assert editor.text == "res"
    assert editor.feed(CTRL_D) == []
    assert editor.feed(CTRL_U + CTRL_D) == [QUIT]


def test_characters_and_keys_may_arrive_in_pieces() -> None:
    editor = LineEditor()
    for byte in "ä€𝄞".encode() + LEFT + b"x":
        editor.feed(bytes([byte]))
    assert (editor.before, editor.after) == ("ä€x", "𝄞")


def test_bytes_that_are_no_text_and_sequences_without_an_end_do_no_harm() -> None:
    editor = LineEditor()
    assert editor.feed(b"a\xff\x1b[" + b"1" * 100) == []
    assert editor.feed(b"b\r") in (["a\ufffdb"], ["a\ufffd"])


def test_an_accent_goes_with_its_letter_and_a_joined_emoji_is_one_character() -> None:
    assert typed("ke\u0301", BACKSPACE) == "k|"
    assert typed("ke\u0301", LEFT) == "k|e\u0301"
    family = "\U0001f468\u200d\U0001f469"
    assert typed(f"a{family}", BACKSPACE) == "a|"
    assert typed(f"a{family}b", HOME, RIGHT, DELETE) == "a|b"


def test_a_paste_is_text_and_its_whole_lines_are_typed_lines() -> None:
    editor = LineEditor(complete=lambda _: ["never"])
    paste = b"\x1b[200~put a\t1\nkill\x1b[A n2\x03\x1b[201~"
    assert editor.feed(paste) == ["put a 1"]
    assert editor.text == "kill n2"
    assert editor.feed(b"\r") == ["kill n2"]


def test_a_line_has_a_limit() -> None:
    editor = LineEditor()
    editor.feed(b"x" * 200_000)
    assert len(editor.text) == 100_000


# --- history ----------------------------------------------------------------------------------


def after(*lines: str, path: Path | None = None) -> LineEditor:
    """An editor to which these lines were typed before."""
    editor = LineEditor(PromptHistory(path))
    for line in lines:
        editor.feed(line.encode() + b"\r")
    return editor


def test_arrows_go_through_the_lines_typed_before_and_back_to_the_unfinished_one() -> None:
    editor = after("kill n1", "restart n1")
    assert typed("sta", UP, editor=editor) == "restart n1|"
    assert typed(UP, UP, UP, editor=editor) == "kill n1|"
    assert typed(DOWN, editor=editor) == "restart n1|"
    assert typed(DOWN, DOWN, editor=editor) == "sta|"
    assert typed(UP, DOWN) == "|"


def test_blank_and_repeated_lines_are_not_kept() -> None:
    editor = after("status", "status", "  ", "")
    assert typed(UP, UP, editor=editor) == "status|"


def test_a_search_finds_the_newest_line_and_then_older_ones() -> None:
    editor = after("kill n1", "put a 1", "kill n2", "status")
    editor.feed(CTRL_R + b"kill")
    assert editor.shown.search == "kill"
    assert editor.shown.before == "kill n2"
    editor.feed(CTRL_R)
    assert editor.shown.before == "kill n1"
    assert editor.feed(ENTER) == ["kill n1"]


def test_a_search_that_is_given_up_leaves_the_line_and_any_other_key_takes_it() -> None:
    editor = after("kill n1")
    assert typed("sta", CTRL_R, "kill", b"\x07", editor=editor) == "sta|"
    assert typed(CTRL_U, CTRL_R, "kilx", BACKSPACE, LEFT, editor=editor) == "kill n|1"


def test_the_history_outlives_the_program_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "history"
    after("put schlüssel wert", "kill n1", path=path)
    assert typed(UP, UP, editor=after(path=path)) == "put schlüssel wert|"
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_history_keeps_the_newest_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "LINES_MAX", 3)
    path = tmp_path / "history"
    after(*(f"put a {number}" for number in range(8)), path=path)
    after(path=path)
    assert path.read_text().splitlines() == ["put a 5", "put a 6", "put a 7"]


def test_a_history_that_cannot_be_kept_costs_nothing_else(tmp_path: Path) -> None:
    editor = after("kill n1", path=tmp_path / "missing" / "history")
    assert typed(UP, editor=editor) == "kill n1|"


# --- completion -------------------------------------------------------------------------------

WORDS = ("partition", "pause", "promote", "put")


def complete(before: str) -> Sequence[str]:
    """Commands first, then names, in any case."""
    *head, last = before.split(" ")
    words = ("leader", "n1", "N2") if head else WORDS
    return [word for word in words if word.lower().startswith(last.lower())]


@pytest.mark.parametrize(
    ("keys", "line", "choices"),
    [
        (["pro", TAB], "promote |", ()),
        (["p", TAB], "p|", WORDS),
        (["pa", TAB], "pa|", ("partition", "pause")),
        (["PA", TAB], "pa|", ("partition", "pause")),
        (["kill ", TAB], "kill |", ("leader", "n1", "N2")),
        (["kill l", TAB], "kill leader |", ()),
        (["kill n2", TAB], "kill N2 |", ()),
        (["kill x", TAB], "kill x|", ()),
        (["p", TAB, "u"], "pu|", ()),
        (["l n1", HOME, RIGHT, TAB], "l| n1", ()),
    ],
)
def test_tab_completes_as_far_as_it_is_certain(
    keys: Sequence[bytes | str], line: str, choices: tuple[str, ...]
) -> None:
    editor = LineEditor(complete=complete)
    assert typed(*keys, editor=editor) == line
    assert editor.shown.choices == choices
