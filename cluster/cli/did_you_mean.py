"""What is said of a command that does not exist: etcdctl's words, and the names it may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

DISTANCE_MAX: Final = 2
"""The letters that may be wrong, missing or added in a name that is suggested, as in etcdctl."""


def unknown_command(typed: str, path: str, names: Iterable[str]) -> str:
    """The error text for a word that is no command of `path`, which has commands of these names."""
    lines = [f'unknown command "{typed}" for "{path}"']
    if similar := [name for name in names if _is_similar(typed.lower(), name)]:
        lines += ["", "Did you mean this?", *(f"\t{name}" for name in similar), ""]
    return "\n".join([*lines, f"Run '{path} --help' for usage."])


def _is_similar(typed: str, name: str) -> bool:
    return name.startswith(typed) or _distance(typed, name) <= DISTANCE_MAX


def _distance(one: str, other: str) -> int:
    """The letters to change, add or leave out to make one word of the other (Levenshtein's)."""
    row = list(range(len(other) + 1))
    for above, letter in enumerate(one):
        corner, row[0] = above, above + 1
        for index, wanted in enumerate(other):
            changed = corner + (letter != wanted)
            corner = row[index + 1]
            row[index + 1] = min(changed, row[index] + 1, corner + 1)
    return row[-1]
