"""From a typed line to a command and its words; a precise answer for each line that is wrong.

It owns the rules of the line, and refuses to know the single commands.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from cluster.launcher.naming import suggestion
from cluster.launcher.nodes.layout import LauncherError

LINE_CHARACTERS_MAX: Final = 64 * 1024
"""A longer line is refused: no command needs it, and no key or value is typed by hand at length."""

UNITS_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

Read = Callable[[str], Any]


class Option(NamedTuple):
    """An option of a command. Without `read` it is a flag, and its value is true."""

    name: str
    help: str
    read: Read | None = None


class Words(NamedTuple):
    """What follows the command's name: plain words in order, and options by name, without dashes.

    `typed` has all of it as it was typed.
    """

    plain: tuple[str, ...]
    options: Mapping[str, Any]
    typed: tuple[str, ...]


def split(line: str) -> list[str]:
    """The words of a line. Quotes keep a word with spaces together, as in a shell."""
    if len(line) > LINE_CHARACTERS_MAX:
        raise LauncherError(f"a line has at most {LINE_CHARACTERS_MAX} characters")
    try:
        return shlex.split(line)
    except ValueError:
        raise LauncherError("a quote is open: close it, or write \\' or \\\"") from None


def read_words(command: str, words: Sequence[str], options: Sequence[Option]) -> Words:
    """Tell options from plain words. `--name value`, `--name=value`; after `--` all is plain."""
    known = {option.name: option for option in options}
    plain: list[str] = []
    given: dict[str, Any] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            plain += left
            break
        if not re.match(r"--?[A-Za-z]", word):
            plain.append(word)
            continue
        name, has_value, value = word.partition("=")
        option = known.get(name)
        if option is None:
            raise LauncherError(_unknown_option(command, name, list(known)))
        if option.read is None:
            if has_value:
                raise LauncherError(f"{command}: {name} takes no value")
            given[_key(name)] = True
            continue
        if not has_value:
            if not left:
                raise LauncherError(f"{command}: {name} needs a value: {option.help}")
            value = left.pop(0)
        given[_key(name)] = _read(f"{command}: {name}", option.read, value)
    return Words(tuple(plain), given, tuple(words))


def _key(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def _read(what: str, read: Read, value: str) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise LauncherError(f"{what} {value}: {error}") from None


def _unknown_option(command: str, name: str, known: Sequence[str]) -> str:
    if not known:
        return f"{command} has no options: {name} (to mean it as a word, write -- before it)"
    return f"{command} has no option {name}{suggestion(name, known)}; it has {', '.join(known)}"


# --- what options and words mean ---


def milliseconds(text: str) -> float:
    """A duration in ms: `50ms`, `1.5s`; a bare number is in ms. ValueError."""
    return _duration(text, "ms") * 1000


def seconds(text: str) -> float:
    """A duration in seconds: `90s`, `2m`, `500ms`; a bare number is in seconds. ValueError."""
    return _duration(text, "s")


def share(text: str) -> float:
    """A share from 0 to 1: `5%` or `0.05`. ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text)
    value = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 <= value <= 1:
        raise ValueError("a share is expected, for example 5% or 0.05")
    return value


def number(text: str) -> int:
    """A whole number, 0 or more. ValueError."""
    if not re.fullmatch(r"\d{1,18}", text):
        raise ValueError("a whole number is expected")
    return int(text)


def _duration(text: str, unit: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text)
    if found is None:
        raise ValueError("a duration is expected, for example 50ms, 2s or 1m")
    return float(found[1]) * UNITS_SECONDS[found[2] or unit]
