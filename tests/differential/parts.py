"""Where two answers differ, at any depth."""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Absent:
    """Stands for a field that one side does not have."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT: Final = Absent()


class Part(NamedTuple):
    """A field that is not the same: its place, as `kvs[0].version`, and both values."""

    place: str
    etcd: Any
    own: Any


def parts_that_differ(etcd: Any, own: Any, place: str = "") -> list[Part]:
    """Every field, at any depth, that is not the same."""
    if isinstance(etcd, dict) and isinstance(own, dict):
        names = [*etcd, *(name for name in own if name not in etcd)]
        pairs = [
            (f"{place}.{name}".lstrip("."), etcd.get(name, ABSENT), own.get(name, ABSENT))
            for name in names
        ]
    elif isinstance(etcd, list) and isinstance(own, list):
        pairs = [
            (f"{place}[{index}]", _at(etcd, index), _at(own, index))
            for index in range(max(len(etcd), len(own)))
        ]
    else:
        return [] if etcd == own else [Part(place, etcd, own)]
    return [part for where, a, b in pairs for part in parts_that_differ(a, b, where)]


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else ABSENT
