"""LineEditor: makes lines of typed bytes, as people know it from a shell.

It owns the line, the cursor, the search and the completion under way. Pure: it refuses to know the
terminal, how the line is drawn, and where the history is kept. A library for prompts would bring an
event loop and a way to draw of its own, and the launcher has both already.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cluster.launcher.screens.history import PromptHistory

QUIT: Final = "quit"
"""The line that Ctrl-D stands for when nothing is typed."""

LINE_CHARACTERS_MAX: Final = 100_000
"""What is typed or pasted beyond this length of a line is ignored."""

PENDING_CHARACTERS_MAX: Final = 32
"""An escape sequence that is not complete after this length is no key."""

PASTE_BEGINS: Final = "\x1b[200~"
PASTE_ENDS: Final = "\x1b[201~"
"""What a terminal sends around a paste, once it was told to."""

KEY: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1bO.|\x1b[^\[O]|[^\x1b]", re.DOTALL)
WORD_BEFORE: Final = re.compile(r"\S*\s*\Z")
WORD_AFTER: Final = re.compile(r"\s*\S*")
JOINER: Final = "\u200d"
ZERO_WIDTH: Final = frozenset(f"{JOINER}\ufe0e\ufe0f")
"""Joiners and selectors, which belong to the character before them."""

Completer = Callable[[str], Sequence[str]]
"""The text before the cursor -> all words that may stand in the place of its last word."""


class Shown(NamedTuple):
    """What to draw: the prompt's own text (a search, or empty), the line around the cursor, and
    the words that the last Tab has found."""

    search: str | None
    before: str
    after: str
    choices: tuple[str, ...]


def no_words(_: str) -> Sequence[str]:
    """The completer that knows nothing."""
    return ()


class LineEditor:
    """Feed it what was typed; it gives back the lines that are complete."""

    def __init__(
        self, history: PromptHistory | None = None, complete: Completer = no_words
    ) -> None:
        self.before = ""
        self.after = ""
        self._history = history if history is not None else PromptHistory()
        self._complete = complete
        self._choices: tuple[str, ...] = ()
        self._killed = ""
        self._search: str | None = None
        self._found = ""
        self._pending = ""
        self._pasting = False
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    @property
    def text(self) -> str:
        """The line as it is now."""
        return self.before + self.after

    @property
    def shown(self) -> Shown:
        """What there is to draw."""
        if self._search is not None:
            return Shown(self._search, self._found, "", ())
        return Shown(None, self.before, self.after, self._choices)

    def feed(self, data: bytes) -> list[str]:
        """Take typed bytes; the lines that they complete, in order."""
        typed, self._pending = self._pending + self._decode(data), ""
        lines: list[str] = []
        place = 0
        while place < len(typed):
            found = KEY.match(typed, place)
            if found is None:  # the rest of the sequence is not there yet
                rest = typed[place:]
                self._pending = rest if len(rest) <= PENDING_CHARACTERS_MAX else ""
                break
            place = found.end()
            line = self._press(found.group())
            if line is not None:
                lines.append(line)
        return lines

    # --- one key ---

    def _press(self, key: str) -> str | None:
        """Obey one key; the line, if the key completes it."""
        if key in (PASTE_BEGINS, PASTE_ENDS):
            self._pasting = key == PASTE_BEGINS
            return None
        if self._pasting:
            return self._paste(key)
        if self._search is not None and self._searched(key):
            return None
        self._choices = self._completed() if key == "\t" else ()
        if key in "\r\n":
            return self._finish()
        if key == "\x04" and not self.text:
            return QUIT
        if _is_text(key):
            self._insert(key)
        elif (act := KEYS.get(key)) is not None:
            act(self)
        return None

    def _finish(self) -> str:
        line = self.text
        self.before = self.after = ""
        self._history.add(line)
        return line

    def _insert(self, text: str) -> None:
        if len(self.text) + len(text) <= LINE_CHARACTERS_MAX:
            self.before += text

    def _paste(self, key: str) -> str | None:
        """Whole lines of a paste are lines as if typed; a Tab or an escape in it is no key."""
        if key in "\r\n":
            return self._finish()
        if key == "\t" or _is_text(key):
            self._insert(" " if key == "\t" else key)
        return None

    # --- moving and deleting ---

    def _left(self) -> None:
        place = _one_left(self.before)
        self.before, self.after = self.before[:place], self.before[place:] + self.after

    def _right(self) -> None:
        place = _one_right(self.after)
        self.before, self.after = self.before + self.after[:place], self.after[place:]

    def _home(self) -> None:
        self.before, self.after = "", self.text

    def _end(self) -> None:
        self.before, self.after = self.text, ""

    def _word_left(self) -> None:
        place = _word_start(self.before)
        self.before, self.after = self.before[:place], self.before[place:] + self.after

    def _word_right(self) -> None:
        place = _word_end(self.after)
        self.before, self.after = self.before + self.after[:place], self.after[place:]

    def _backspace(self) -> None:
        self.before = self.before[: _one_left(self.before)]

    def _delete(self) -> None:
        self.after = self.after[_one_right(self.after) :]

    def _kill_to_start(self) -> None:
        self._killed, self.before = self.before, ""

    def _kill_to_end(self) -> None:
        self._killed, self.after = self.after, ""

    def _kill_word_before(self) -> None:
        place = _word_start(self.before)
        self._killed, self.before = self.before[place:], self.before[:place]

    def _kill_word_after(self) -> None:
        place = _word_end(self.after)
        self._killed, self.after = self.after[:place], self.after[place:]

    def _yank(self) -> None:
        self._insert(self._killed)

    # --- history ---

    def _older(self) -> None:
        self.before, self.after = self._history.older(self.text), ""

    def _newer(self) -> None:
        self.before, self.after = self._history.newer(self.text), ""

    def _begin_search(self) -> None:
        self._search, self._found = "", self.text

    def _searched(self, key: str) -> bool:
        """Whether the key belongs to the search; any other key ends it and is obeyed as usual."""
        assert self._search is not None, "a search is under way"
        match key:
            case "\x12":
                self._found = self._history.find(self._search, further=True) or self._found
            case "\x07" | "\x1b\x1b":
                self._search = None
            case "\x7f" | "\x08":
                self._search = self._search[:-1]
                self._found = self._history.find(self._search) or ""
            case _ if _is_text(key):
                self._search += key
                self._found = self._history.find(self._search) or ""
            case _:
                self.before, self.after, self._search = self._found, "", None
                return False
        return True

    # --- completion ---

    def _completed(self) -> tuple[str, ...]:
        """Complete the last word as far as it is certain; the choices, if there are several."""
        words = tuple(self._complete(self.before))
        if not words:
            return ()
        start = WORD_BEFORE.search(self.before)
        typed = start.group().rstrip() if start is not None else ""
        if start is not None and self.before[-1:].isspace():
            typed = ""
        common = words[0] + " " if len(words) == 1 else _common_beginning(words)
        head = self.before[: len(self.before) - len(typed)]
        # Words may differ from what was typed in case: names are found in any case.
        if common.lower().startswith(typed.lower()):
            self.before = head + common
        return words if len(words) > 1 else ()


def _common_beginning(words: Sequence[str]) -> str:
    """What all words begin with, as the first one is written; names are found in any case."""
    first = words[0]
    for place, characters in enumerate(zip(*(word.lower() for word in words), strict=False)):
        if len(set(characters)) > 1:
            return first[:place]
    return first[: min(map(len, words))]


def _is_text(key: str) -> bool:
    return key.isprintable() or key in ZERO_WIDTH


def _one_left(text: str) -> int:
    """Where the last character begins, with the marks that belong to it."""
    place = max(0, len(text) - 1)
    while place > 0 and _belongs_to_the_one_before(text, place):
        place -= 1
    return place


def _one_right(text: str) -> int:
    """Where the second character begins."""
    place = 1
    while place < len(text) and _belongs_to_the_one_before(text, place):
        place += 1
    return min(place, len(text))


def _belongs_to_the_one_before(text: str, place: int) -> bool:
    """Whether a character is shown with the one before it: a mark, a joiner, or what is joined."""
    if text[place - 1] == JOINER:
        return True
    return text[place] in ZERO_WIDTH or unicodedata.combining(text[place]) > 0


def _word_start(text: str) -> int:
    found = WORD_BEFORE.search(text)
    return found.start() if found is not None else 0


def _word_end(text: str) -> int:
    found = WORD_AFTER.match(text)
    return found.end() if found is not None else 0


KEYS: Final[dict[str, Callable[[LineEditor], None]]] = {
    key: act
    for keys, act in (
        (("\x7f", "\x08"), LineEditor._backspace),
        (("\x04", "\x1b[3~"), LineEditor._delete),
        (("\x02", "\x1b[D", "\x1bOD"), LineEditor._left),
        (("\x06", "\x1b[C", "\x1bOC"), LineEditor._right),
        (("\x1bb", "\x1b[1;5D", "\x1b[1;3D"), LineEditor._word_left),
        (("\x1bf", "\x1b[1;5C", "\x1b[1;3C"), LineEditor._word_right),
        (("\x01", "\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~"), LineEditor._home),
        (("\x05", "\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~"), LineEditor._end),
        (("\x15",), LineEditor._kill_to_start),
        (("\x0b",), LineEditor._kill_to_end),
        (("\x17", "\x1b\x7f"), LineEditor._kill_word_before),
        (("\x1bd",), LineEditor._kill_word_after),
        (("\x19",), LineEditor._yank),
        (("\x10", "\x1b[A", "\x1bOA"), LineEditor._older),
        (("\x0e", "\x1b[B", "\x1bOB"), LineEditor._newer),
        (("\x12",), LineEditor._begin_search),
    )
    for key in keys
}
"""What the keys do, by what terminals send for them: the control keys, and the keys with names."""
