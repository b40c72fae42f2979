"""Words that several texts need."""

from __future__ import annotations

from collections.abc import Iterable


def all_of(words: Iterable[str]) -> str:
    """`n1`, `n1 and n2`, `n1, n2 and n3`; there is at least one."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
