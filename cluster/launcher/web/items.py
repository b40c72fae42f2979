"""What pages are told, as JSON: happenings, messages, samples, and the cluster as it is.

A view's columns are passed on by their names, whatever they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from cluster.launcher.probing.prober import Sample
from cluster.launcher.screens.view import ClusterView
from cluster.launcher.story.happenings import Happening

MESSAGE_FIELDS: Final = ("to", "what", "term", "entries", "bytes", "lost")
"""What a page is told of a message, in this order."""


def happening_item(happening: Happening) -> str:
    """One happening."""
    return _json({"happening": happening.document()})


def messages_item(happenings: Iterable[Happening]) -> str:
    """Messages between nodes, as rows: at, from, and these fields of a `message`."""
    rows = [
        [round(told.at, 6), told.source, *(told.fields.get(name) for name in MESSAGE_FIELDS)]
        for told in happenings
    ]
    return _json({"messages": rows})


def samples_item(samples: Sequence[Sample]) -> str:
    """Samples of the probe client, as rows: at, kind, ms, ok."""
    rows = [[round(one.at, 4), one.kind, round(one.ms, 3), one.ok] for one in samples]
    return _json({"samples": rows})


def view_document(view: ClusterView) -> dict[str, Any]:
    """The cluster as it is, without the time."""
    return {**view._asdict(), "nodes": [node._asdict() for node in view.nodes]}


def view_item(document: dict[str, Any], at: float) -> str:
    """The cluster as it is at a moment."""
    return _json({"view": {"at": round(at, 4), **document}})


def _json(value: Any) -> str:
    # A member id has 64 bits, and a script's numbers have 53: those are written as texts. JSON has
    # no infinity.
    return json.dumps(_exact(value), separators=(",", ":"), default=str)


def _exact(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 53:
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _exact(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(inner) for inner in value]
    return value
