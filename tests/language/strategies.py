"""Values of the vocabulary for random tests, and values that nearly are: by their annotations.

A field that is added somewhere is in these tests at once. Knows nothing of codecs.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from actors.language.bounds import Within
from actors.language.commands import Compare, CompareTarget

Strategy = st.SearchStrategy[Any]

ITEMS_MAX = 3
LEVELS_MAX = 3

_PLAIN: dict[Any, Strategy] = {
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**64 - 1),
    bytes: st.binary(max_size=40),
    str: st.text(max_size=20),
}
_ODD: Strategy = st.sampled_from(
    (None, True, 7, -1, 2**62 + 1, 2**63, 2**64, 1.5, "", "text", b"", b"bytes", (), (7,), {})
)


class Vocabulary:
    """Strategies for named tuples; `known` has those of annotations that do not say it all."""

    def __init__(self, known: dict[Any, Strategy]) -> None:
        self._known = known

    def of(self, hint: Any, level: int = 1) -> Strategy:
        """Values that an annotation allows."""
        if hint in self._known:
            return self._known[hint]
        if hint in _PLAIN:
            return _PLAIN[hint]
        if isinstance(hint, type) and issubclass(hint, IntEnum):
            return st.sampled_from(hint)
        if isinstance(hint, type) and issubclass(hint, tuple):
            hints = get_type_hints(hint, include_extras=True).values()
            return st.builds(hint, *[self.of(each, level) for each in hints])
        match get_origin(hint), get_args(hint):
            case origin, (base, Within(least, most)) if origin is Annotated:
                assert base is int
                return st.integers(least, most)
            case origin, (item, last) if origin is tuple and last is ...:
                if level > LEVELS_MAX:
                    return st.just(())
                return st.lists(self.of(item, level + 1), max_size=ITEMS_MAX).map(tuple)
            case origin, texts if origin is Literal:
                return st.sampled_from(texts)
            case _, kinds:
                return st.one_of([self.of(each, level) for each in kinds])
        raise TypeError(hint)


def _compares() -> Strategy:
    fields = {**get_type_hints(Compare), "operand": int}
    made = st.builds(Compare, *[Vocabulary({}).of(each) for each in fields.values()])
    return st.tuples(made, _PLAIN[bytes]).map(
        lambda both: (
            both[0]._replace(operand=both[1]) if both[0].target is CompareTarget.VALUE else both[0]
        )
    )


COMMANDS = Vocabulary({type(None): st.none(), Compare: _compares()})
"""What the store is told and answers."""


@st.composite
def spoiled(draw: st.DrawFn, values: Strategy) -> Any:
    """A value one field of which, at any depth, was replaced by what is mostly wrong there."""
    return _spoil(draw, draw(values))


def _spoil(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, tuple) or not value or draw(st.integers(0, 5)) == 0:
        return draw(_ODD)
    fields = list(value)
    at = draw(st.integers(0, len(fields) - 1))
    fields[at] = _spoil(draw, fields[at])
    kind: Any = type(value)
    return tuple.__new__(kind, fields)


def types_in(value: object) -> object:
    """The types all the way down: a bare tuple equals a named one, and True equals 1."""
    if isinstance(value, tuple):
        return type(value), tuple(types_in(each) for each in value)
    return type(value)


class Same(NamedTuple):
    """A value, and what came back of it."""

    value: Any
    back: Any

    def __bool__(self) -> bool:
        return self.value == self.back and types_in(self.value) == types_in(self.back)
