"""What one store that does one thing at a time answers, in the protocol's own words.

A second account of what requests mean, as simple as can be: each revision is a whole copy of the
keys. It shares no code with the store. Knows nothing of nodes, clients or time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from actors.language.commands import Change, Event
from tests.simulation.saved import require

KeyValue = dict[str, Any]
"""As in a reply."""

State = dict[bytes, KeyValue]
Fields = Mapping[str, Any]
Answer = dict[str, Any]

_SORTED_BY = {
    "KEY": "key",
    "VERSION": "version",
    "CREATE": "create_revision",
    "MOD": "mod_revision",
    "VALUE": "value",
}
_COMPARED = {
    "VERSION": "version",
    "CREATE": "create_revision",
    "MOD": "mod_revision",
    "VALUE": "value",
    "LEASE": "lease",
}


class Past:
    """Every revision there was, from the store's events. `states[revision]` is a whole copy."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.states: list[State] = [{}, {}]  # 0 is unused, 1 is empty
        self.events: dict[int, list[Event]] = {}
        for event in events:
            change, kv, _ = event
            if kv.mod_revision == len(self.states):
                self.states.append(dict(self.states[-1]))
            require(kv.mod_revision == self.revision, f"after {self.revision} comes {event}")
            self.events.setdefault(kv.mod_revision, []).append(event)
            if change is Change.PUT:
                self.states[-1][kv.key] = kv._asdict()
            else:
                require(kv.key in self.states[-1], f"{event} deletes what is not there")
                del self.states[-1][kv.key]

    @property
    def revision(self) -> int:
        """The last."""
        return len(self.states) - 1

    def before(self, revision: int, key: bytes) -> KeyValue | None:
        """A key as it was before a revision."""
        return self.states[revision - 1].get(key)

    def of(self, key: bytes, until: int) -> list[Event]:
        """What became of a key up to a revision, newest first."""
        every = [each for revision in self.events for each in self.events[revision]]
        return [e for e in reversed(every) if e.kv.key == key and e.kv.mod_revision <= until]


class Doing:
    """One request that is done on the state at a revision; `state` is what it leaves."""

    def __init__(self, past: Past, revision: int) -> None:
        self.state = dict(past.states[revision])
        self.is_changed = False
        self._past = past
        self._before = past.states[revision]
        self._revision = revision

    @property
    def revision(self) -> int:
        """All that one request changes has one revision."""
        return self._revision + self.is_changed

    def do(self, op: str, fields: Fields) -> Answer:
        """The answer, without its header."""
        match op:
            case "put":
                return self._put(fields)
            case "delete_range":
                return self._delete(fields)
            case "increment":
                return self._increment(fields)
            case "range":
                return self._range(fields)
            case "txn":
                return self._txn(fields)
            case _:
                raise AssertionError(f"{op} is none of the model's business")

    def _put(self, fields: Fields) -> Answer:
        key, before = fields["key"], self.state.get(fields["key"])
        self.is_changed = True
        self.state[key] = {
            "key": key,
            "create_revision": before["create_revision"] if before else self.revision,
            "mod_revision": self.revision,
            "version": before["version"] + 1 if before else 1,
            "value": fields["value"],
            "lease": fields.get("lease", 0),
        }
        return {"prev_kv": before} if before and fields.get("prev_kv") else {}

    def _delete(self, fields: Fields) -> Answer:
        gone = _within(self.state, fields)
        for kv in gone:
            del self.state[kv["key"]]
            self.is_changed = True
        answer: Answer = {"deleted": len(gone)}
        if gone and fields.get("prev_kv"):
            answer["prev_kvs"] = gone
        return answer

    def _increment(self, fields: Fields) -> Answer:
        before = self.state.get(fields["key"])
        value = fields["delta"] + (int(before["value"]) if before else 0)
        lease = before["lease"] if before else 0
        self._put({"key": fields["key"], "value": b"%d" % value, "lease": lease})
        return {"value": value}

    def _range(self, fields: Fields) -> Answer:
        asked = fields.get("revision", 0)
        state = self._past.states[asked] if 0 < asked <= self._revision else self.state
        kvs = _within(state, fields)
        count, limit = len(kvs), fields.get("limit", 0)
        if fields.get("count_only"):
            return {"kvs": [], "more": False, "count": count}
        if fields.get("no_count"):
            count = 0
        order = fields.get("sort_order", "NONE")
        bounds = ("min_mod", "max_mod", "min_create", "max_create")
        if limit and order == "NONE" and not any(fields.get(f"{b}_revision") for b in bounds):
            kvs = kvs[: limit + 1]  # etcd sorts only what it has fetched
        kvs = [kv for kv in kvs if _is_in_bounds(kv, fields)]
        by = _SORTED_BY[fields.get("sort_target", "KEY")]
        kvs.sort(key=lambda kv: kv[by], reverse=order == "DESCEND")
        more = 0 < limit < len(kvs)
        kvs = kvs[:limit] if more else kvs
        if fields.get("keys_only"):
            kvs = [{**kv, "value": b""} for kv in kvs]
        return {"kvs": kvs, "more": more, "count": count}

    def _txn(self, fields: Fields) -> Answer:
        # All that is compared, however deep, is the state before.
        succeeded = all(self._holds(compare) for compare in fields["compare"])
        responses = []
        for request in fields["success" if succeeded else "failure"]:
            ((name, inner),) = request.items()
            op = name.removeprefix("request_")
            answer = self.do(op, inner)
            header = {"revision": 0 if op == "txn" else self.revision}
            responses.append({f"response_{op}": {"header": header, **answer}})
        return {"succeeded": succeeded, "responses": responses}

    def _holds(self, compare: Fields) -> bool:
        kvs = _within(self._before, compare)
        target, result = compare["target"], compare["result"]
        if target == "COUNT":
            return _stands(len(kvs), result, compare["count"])
        name = _COMPARED[target]
        operand = compare[name]
        if kvs:
            return all(_stands(kv[name], result, operand) for kv in kvs)
        return target != "VALUE" and _stands(0, result, operand)


def _within(state: State, fields: Fields) -> list[KeyValue]:
    key, end = fields["key"], fields.get("range_end", b"")
    if not end:
        return [state[key]] if key in state else []
    return [state[k] for k in sorted(state) if key <= k and (end == b"\0" or k < end)]


def _is_in_bounds(kv: KeyValue, fields: Fields) -> bool:
    for name in ("mod", "create"):
        revision = kv[f"{name}_revision"]
        least = fields.get(f"min_{name}_revision", 0)
        most = fields.get(f"max_{name}_revision", 0)
        if revision < least or (most and revision > most):
            return False
    return True


def _stands(found: Any, result: str, operand: Any) -> bool:
    order = (found > operand) - (found < operand)
    return order in {"EQUAL": (0,), "NOT_EQUAL": (-1, 1), "GREATER": (1,), "LESS": (-1,)}[result]
