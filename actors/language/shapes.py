"""How a named tuple stands as a plain row, and back: derived from the annotations of its fields.

An annotation says once what its field may hold: its type, its bounds, and what it is made of. This
module makes of it the checks and the conversions of both directions, so that every row written can
be read. The codecs add what annotations cannot say: codes, rules of a whole value, and forms of
their own. Refuses to know of bytes, and of what the values mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from itertools import product
from operator import itemgetter
from types import NoneType, UnionType
from typing import (
    Any,
    Final,
    Literal,
    NamedTuple,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from actors.language.bounds import UINT64_MAX, Within

NESTED_MAX: Final = 128
"""Levels of values inside values of their kind, such as transactions; more levels would exhaust
Python's stack."""

AnyTuple = tuple[Any, ...]

Convert = Callable[[Any, int], Any]
"""Makes a field's value what stands in a row, or back; the second argument is the level of nesting.

Raises ValueError for a value that the field may not hold. Its type was checked before.
"""

Rule = Callable[[Any], None]
"""Raises ValueError for a value whose fields do not fit each other."""

_EMPTY: Final = ()
"""Python has one empty tuple: a field that holds it needs no conversion."""

_new: Final = tuple.__new__
_PLAIN: Final = frozenset({bool, int, bytes, str})


class Form(NamedTuple):
    """The types that a field may hold, those that stand for it in a row, and both conversions.

    Without `write` and `read` the value itself stands in the row. Types are exact: True is no int.
    `members` are those of an enum by number, in which `read` looks. `is_list`: any number of items.
    """

    types: tuple[type, ...]
    row_types: tuple[type, ...]
    write: Convert | None = None
    read: Convert | None = None
    within: Within | None = None
    members: Mapping[int, IntEnum] | None = None
    is_list: bool = False


class Shape:
    """One kind of named tuple as a row."""

    row: Callable[..., AnyTuple]
    """The row of a value of this kind, at a level of nesting (1 if it is in nothing).

    Raises ValueError for a value that would not come back."""

    value: Callable[..., Any]
    """What `row` was given, from a row and its level. Raises ValueError for anything else."""

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind

    def settle(self, forms: list[Form], rule: Rule | None) -> None:
        """Set the fields' forms. It is a second step, since a kind may hold itself."""
        usual, more = _combined([form.types for form in forms])
        row_usual, row_more = _combined([form.row_types for form in forms])
        writes = [(at, form.write) for at, form in enumerate(forms) if form.write]
        checks = _Checks(forms, rule)
        self.row = _writer(self.kind, usual, more, checks, writes)
        self.value = _reader(self.kind, row_usual, row_more, checks, _Reads(forms))


def _combined(
    choices: list[tuple[type, ...]],
) -> tuple[tuple[type, ...], frozenset[tuple[type, ...]]]:
    """The combinations of types that the fields may have: the most usual one, and the others."""
    usual, *more = product(*choices)
    return usual, frozenset(more)


class _Checks:
    """The checks beside types: for unsigned numbers, which most are, and for all others."""

    def __init__(self, forms: list[Form], rule: Rule | None) -> None:
        places: dict[Within, list[int]] = {}
        for at, form in enumerate(forms):
            if form.within is not None:
                places.setdefault(form.within, []).append(at)
        # Only the sign is checked here: msgpack refuses numbers of more than 64 bits.
        unsigned = places.pop(Within(0, UINT64_MAX), None)
        self.unsigned_of = _items(unsigned) if unsigned else None
        bounds = [_bound(_items(ats), *within) for within, ats in places.items()]
        self.rest: list[Rule] = [*bounds, rule] if rule else bounds


class _Reads:
    """How fields are made of what stands in a row, by their places. Enums need no call, and lists
    none while they are empty."""

    def __init__(self, forms: list[Form]) -> None:
        self.enums: list[tuple[int, Mapping[int, IntEnum]]] = []
        self.lists: list[tuple[int, Convert]] = []
        self.others: list[tuple[int, Convert]] = []
        for at, form in enumerate(forms):
            if form.members is not None:
                self.enums.append((at, form.members))
            elif form.read is not None:
                (self.lists if form.is_list else self.others).append((at, form.read))


def _items(places: list[int]) -> Callable[[AnyTuple], tuple[int, ...]]:
    # For a single place itemgetter would give the item, and no tuple.
    return itemgetter(*places) if len(places) > 1 else itemgetter(*places, *places)


def _bound(numbers_of: Callable[[AnyTuple], tuple[int, ...]], least: int, most: int) -> Rule:
    def check(value: AnyTuple) -> None:
        numbers = numbers_of(value)
        if min(numbers) < least or max(numbers) > most:
            raise ValueError(f"{numbers} are not from {least} to {most}")

    return check


def _writer(
    kind: type[Any],
    usual: tuple[type, ...],
    more: frozenset[tuple[type, ...]],
    checks: _Checks,
    writes: list[tuple[int, Convert]],
) -> Callable[..., AnyTuple]:
    unsigned_of, rest = checks.unsigned_of, checks.rest

    def write_row(value: AnyTuple, level: int = 1) -> AnyTuple:
        types = (*map(type, value),)
        if types != usual and types not in more:
            raise ValueError(f"{value!r:.64} is no {kind.__name__}")
        if unsigned_of is not None and min(unsigned_of(value)) < 0:
            raise ValueError(f"{value!r:.64} has a field below zero")
        for check in rest:
            check(value)
        fields: list[Any] | None = None
        for at, write in writes:
            held = value[at]
            if held is not _EMPTY or level > NESTED_MAX:
                written = write(held, level)
                if written is not held:
                    fields = fields or [*value]
                    fields[at] = written
        return (*fields,) if fields else value

    return write_row


def _reader(
    kind: type[Any],
    usual: tuple[type, ...],
    more: frozenset[tuple[type, ...]],
    checks: _Checks,
    reads: _Reads,
) -> Callable[..., Any]:
    unsigned_of, rest = checks.unsigned_of, checks.rest
    enums, lists, others = reads.enums, reads.lists, reads.others
    has_reads = bool(enums or lists or others)

    def read_value(row: AnyTuple, level: int = 1) -> Any:
        types = (*map(type, row),) if type(row) is tuple else None
        if types != usual and types not in more:
            raise ValueError(f"{row!r:.64} is no {kind.__name__}")
        if unsigned_of is not None and min(unsigned_of(row)) < 0:
            raise ValueError(f"{row!r:.64} has a field below zero")
        if has_reads:
            fields = [*row]
            for at, members in enums:
                if fields[at] not in members:
                    raise ValueError(f"{row!r:.64} is no {kind.__name__}")
                fields[at] = members[fields[at]]
            for at, read in lists:
                if fields[at] is not _EMPTY or level > NESTED_MAX:
                    fields[at] = read(fields[at], level)
            for at, read in others:
                fields[at] = read(fields[at], level)
            row = (*fields,)
        # tuple.__new__ spares the argument passing of the constructor: the fields are checked.
        value = _new(kind, row)
        for check in rest:
            check(value)
        return value

    return read_value


class Shapes:
    """The shapes of one vocabulary.

    A code of `codes` stands in front of a value that may be of several kinds. `forms` are for
    annotations with a form of their own, `rules` for kinds whose fields must fit each other.
    """

    def __init__(
        self,
        codes: Mapping[type[Any], int] | None = None,
        forms: Mapping[Any, Form] | None = None,
        rules: Mapping[type[Any], Rule] | None = None,
    ) -> None:
        self._codes = codes or {}
        self._forms = forms or {}
        self._rules = rules or {}
        self._shapes: dict[type[Any], Shape] = {}

    def of(self, kind: type[Any]) -> Shape:
        """The shape of a kind. Raises TypeError for an annotation that has no form."""
        shape = self._shapes.get(kind)
        if shape is None:
            shape = self._shapes[kind] = Shape(kind)
            hints = get_type_hints(kind, include_extras=True)
            shape.settle([self.form(each) for each in hints.values()], self._rules.get(kind))
        return shape

    def form(self, hint: Any) -> Form:
        """The form of a field with this annotation. Raises TypeError if it has none."""
        if hint in self._forms:
            return self._forms[hint]
        if hint in _PLAIN:
            return Form((hint,), (hint,))
        match get_origin(hint), get_args(hint):
            case _, (base, Within() as within):
                return self.form(base)._replace(within=within)
            case origin, (item, last) if origin is tuple and last is ...:
                return self._many(item)
            case origin, kinds if origin in (Union, UnionType):
                return self._one_of(kinds)
            case origin, texts if origin is Literal:
                return _literal(texts)
        if isinstance(hint, type) and issubclass(hint, IntEnum):
            return _enum(hint)
        if isinstance(hint, type) and issubclass(hint, tuple):
            shape = self.of(hint)
            return Form((hint,), (tuple,), shape.row, shape.value)
        raise TypeError(f"{hint} has no form for a row")

    def _one_of(self, hints: tuple[Any, ...]) -> Form:
        if all(get_origin(each) is Literal for each in hints):
            return _literal(tuple(text for each in hints for text in get_args(each)))
        if NoneType in hints and len(hints) == 2:
            return _maybe(self.form(next(each for each in hints if each is not NoneType)))
        if all(each in _PLAIN for each in hints):
            return Form(hints, hints)
        raise TypeError(f"one of {hints} has no form for a row")

    def _many(self, item: Any) -> Form:
        kinds = get_args(item)
        if kinds and all(each in self._codes for each in kinds):
            return _many_tagged({each: (self._codes[each], self.of(each)) for each in kinds})
        form = self.form(item)
        write, read = _checked(form.write, form.within), _checked(form.read, form.within)
        writes, reads = _each(form.types, write), _each(form.row_types, read)
        return Form((tuple,), (tuple,), writes, reads, is_list=True)


# --- the forms of fields ----------------------------------------------------------------------


def _each(types: tuple[type, ...], convert: Convert | None) -> Convert:
    """A conversion of each item of a tuple; every item must have one of these types."""
    allowed = frozenset(types)

    def convert_all(items: AnyTuple, level: int) -> AnyTuple:
        if level > NESTED_MAX:
            raise ValueError("nested too deep")
        if not items:
            return items
        if not allowed.issuperset(map(type, items)):
            raise ValueError(f"{items!r:.64} are not all of {[each.__name__ for each in types]}")
        return items if convert is None else (*[convert(each, level) for each in items],)

    return convert_all


def _checked(convert: Convert | None, within: Within | None) -> Convert | None:
    """A conversion that also checks the bounds of a number."""
    if within is None:
        return convert
    least, most = within

    def check(value: int, level: int) -> Any:
        if not least <= value <= most:
            raise ValueError(f"{value} is not from {least} to {most}")
        return value if convert is None else convert(value, level)

    return check


def _maybe(form: Form) -> Form:
    def or_none(convert: Convert | None) -> Convert | None:
        if convert is None:
            return None
        return lambda value, level: None if value is None else convert(value, level)

    write, read = _checked(form.write, form.within), _checked(form.read, form.within)
    types, row_types = (NoneType, *form.types), (NoneType, *form.row_types)
    return Form(types, row_types, or_none(write), or_none(read))


def _enum(kind: type[IntEnum]) -> Form:
    members = {int(member): member for member in kind}

    def read(value: int, _: int) -> IntEnum:
        member = members.get(value)
        if member is None:
            raise ValueError(f"{value} is no {kind.__name__}")
        return member

    # A member is packed as the number that it is.
    return Form((kind,), (int,), None, read, members=members)


def _literal(texts: tuple[Any, ...]) -> Form:
    # The annotation's own texts are given back: equal texts from elsewhere then take no memory.
    known = {text: text for text in texts}

    def find(value: str, _: int) -> str:
        text: str | None = known.get(value)
        if text is None:
            raise ValueError(f"unknown name {value!r:.40}")
        return text

    return Form((str,), (str,), find, find)


def _many_tagged(kinds: dict[type[Any], tuple[int, Shape]]) -> Form:
    """A tuple of values, each of one of several kinds, as its code and its fields.

    An item is a level of nesting.
    """
    shapes = dict(kinds.values())

    def write_all(values: AnyTuple, level: int) -> AnyTuple:
        if level > NESTED_MAX:
            raise ValueError("nested too deep")
        rows = []
        for value in values:
            code, shape = kinds[type(value)]
            rows.append((code, *shape.row(value, level + 1)))
        return (*rows,) if rows else values

    def read_all(rows: AnyTuple, level: int) -> AnyTuple:
        if level > NESTED_MAX:
            raise ValueError("nested too deep")
        values = []
        for row in rows:
            # True is no code, though a lookup of True would find 1.
            if type(row) is not tuple or not row or type(row[0]) is not int or row[0] not in shapes:
                raise ValueError(f"{row!r:.64} has no known code")
            values.append(shapes[row[0]].value(row[1:], level + 1))
        return (*values,)

    return Form((tuple,), (tuple,), write_all, read_all, is_list=True)
