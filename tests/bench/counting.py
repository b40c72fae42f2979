"""What code calls, counted: the functions of this project, and all calls as cProfile counts them.

Owns the profile hook. What code of the tests calls by itself is not counted, but what it calls of
the project is: a test's twin that passes a call on to the shipped thing hides nothing.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

import actors

SOURCE: Final = Path(actors.__file__).parents[1]
OWN_FOLDERS: Final = ("actors", "cluster")

Place = tuple[str, str]
"""A file, seen from the top of the project, and the name of a function in it."""


class _Kind(Enum):
    OWN = "of actors/ or cluster/"
    TESTS = "of tests/"
    LIBRARY = "anything else: it counts when counted code calls it"


class Count(NamedTuple):
    """The calls of the project's own functions, by place, and the number of all calls."""

    own: Counter[Place]
    all_calls: int


class CallCounter:
    """Counts what happens inside of the functions that it wraps, in the thread that calls them."""

    def __init__(self) -> None:
        self._own: Counter[Place] = Counter()
        self._all_calls = 0
        self._codes: dict[CodeType, tuple[_Kind, Place]] = {}
        # For each function that runs now: whether its calls count.
        self._counts: list[bool] = [False]

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose calls are counted."""

        def call_and_count(*arguments: Any) -> Any:
            self._counts = [False]
            sys.setprofile(self._profile)
            try:
                return function(*arguments)
            finally:
                sys.setprofile(None)

        return call_and_count

    def result(self) -> Count:
        """What was counted up to now."""
        return Count(Counter(self._own), self._all_calls)

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_call":
            self._all_calls += self._counts[-1]
        elif event == "call":
            kind, place = self._of(frame.f_code)
            if kind is _Kind.OWN:
                self._own[place] += 1
            counts = kind is _Kind.OWN or (kind is _Kind.LIBRARY and self._counts[-1])
            self._all_calls += counts
            self._counts.append(counts)
        elif event == "return" and len(self._counts) > 1:
            self._counts.pop()

    def _of(self, code: CodeType) -> tuple[_Kind, Place]:
        found = self._codes.get(code)
        if found is None:
            found = self._codes[code] = _kind_and_place(code.co_filename, code.co_qualname)
        return found


def _kind_and_place(file: str, function: str) -> tuple[_Kind, Place]:
    path = Path(file)
    if not path.is_relative_to(SOURCE):
        return _Kind.LIBRARY, (file, function)
    place = path.relative_to(SOURCE)
    kinds = {"tests": _Kind.TESTS, **dict.fromkeys(OWN_FOLDERS, _Kind.OWN)}
    return kinds.get(place.parts[0], _Kind.LIBRARY), (str(place), function)
