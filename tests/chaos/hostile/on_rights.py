"""What clients without rights try where requests are checked: everything, as nobody and as a user.

Each request is one that would be served, if its client had the right to it. So each answer but an
error is told as what "got through", and nothing may.
"""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any, Final, NamedTuple

import msgpack

from cluster.etcd.rpc.schema import RPCS, Rpc, RpcKind
from cluster.protocol import OPS
from cluster.wire import pack
from tests.chaos.hostile.intruder import Facts, Intruder, Kind
from tests.chaos.hostile.on_clients import BULK, FORBIDDEN, WAIT_SECONDS
from tests.chaos.hostile.zmtp import READ_BYTES, message

OPEN: Final = frozenset({"member_list", "status", "metrics", "watch_cancel", "watch_progress"})
"""What everybody may ask: how the cluster is, and what becomes of watches that they have not."""

OWN: Final = frozenset({"lease_grant", "lease_leases", "session_open"})
"""What a user may do who has no role: it touches no key."""

A_USER: Final = "a user"

GUESSES: Final = ("password", "with a password ", "With a password", "", "the root of all!")
USERS: Final = ("root", "honest", "stranger", "missing")
REQUESTS: Final = 20
FORGED_BYTES: Final = 40
LEASE_TTL_SECONDS: Final = 5


class Credential(NamedTuple):
    """What a request shows, and in whose name it is."""

    name: str
    token: str | None


def _credential(me: Intruder) -> Credential:
    """Nothing, a user's token, one that is worth nothing any more, changed a little, or made up.

    Where nothing is shown, the key or the certificate says who it is.
    """
    token, secrets = me.facts().token, me.facts().secrets
    made_up = base64.urlsafe_b64encode(me.chance.randbytes(FORGED_BYTES)).decode().rstrip("=")
    at = me.chance.randrange(len(token)) if token else 0
    changed = token[:at] + me.chance.choice("ABCxyz019-_") + token[at + 1 :]
    choices = (
        Credential(A_USER if me.person.is_user else "nobody", None),
        Credential(A_USER, token),
        Credential("a changed token", changed if changed != token else made_up),
        Credential("a token made up", made_up),
        Credential("an empty token", ""),
        Credential("a deleted user's token", "" if secrets is None else secrets.dead_token),
    )
    return me.chance.choice(choices)


def fields_of(op: str, chance: Random, facts: Facts) -> dict[str, Any]:
    """The fields of a request that would make sense, and harm."""
    key = chance.choice((FORBIDDEN, BULK, "\0", "reg/", "honest"))
    member = chance.choice([0, *facts.members.values()])
    permission = {"permType": "READWRITE", "key": b"\0", "range_end": b"\0"}
    put = {"request_put": {"key": FORBIDDEN, "value": "x"}}
    values: dict[str, dict[str, Any]] = {
        "put": {"key": FORBIDDEN, "value": "x"},
        "txn": {"success": [chance.choice((put, {"request_txn": {"success": [put]}}))]},
        "delete_range": {"key": BULK, "range_end": "bulk0"},
        "increment": {"key": FORBIDDEN},
        "compact": {"revision": 2},
        "lease_grant": {"TTL": LEASE_TTL_SECONDS, "ID": 0},
        "lease_revoke": {"ID": chance.getrandbits(62)},
        "lease_keep_alive": {"ID": chance.getrandbits(62)},
        "lease_time_to_live": {"ID": chance.getrandbits(62), "keys": True},
        "member_add": {"peerURLs": ["tcp://127.0.0.1:9"]},
        "member_update": {"ID": member, "peerURLs": ["tcp://127.0.0.1:9"]},
        "member_remove": {"ID": member},
        "member_promote": {"ID": member},
        "member_replace": {"ID": member, "peerURLs": ["tcp://127.0.0.1:9"]},
        "move_leader": {"targetID": member},
        "alarm": {"action": "ACTIVATE", "memberID": member, "alarm": "NOSPACE"},
        "authenticate": {"name": chance.choice(USERS), "password": chance.choice(GUESSES)},
        "user_add": {"name": "intruder", "password": "x"},
        "user_get": {"name": chance.choice(("root", "honest"))},
        "user_delete": {"name": "honest"},
        "user_change_password": {"name": "root", "password": "x"},
        "user_grant_role": {"user": "stranger", "role": "root"},
        "user_revoke_role": {"name": "honest", "role": "keys"},
        "user_add_key": {"name": "root", "key": bytes(32)},
        "user_remove_key": {"name": "root", "key": bytes(32)},
        "role_add": {"name": "intruders"},
        "role_get": {"role": "keys"},
        "role_delete": {"role": "keys"},
        "role_grant_permission": {"name": "keys", "perm": permission},
        "role_revoke_permission": {"role": "keys", "key": b"\0", "range_end": b"\0"},
        "role_set_limits": {"role": "keys", "limits": {"requests_per_second": 1}},
    }
    ranges = {"key": key, "range_end": "\0"}
    open_ended: dict[str, dict[str, Any]] = {
        "range": ranges,
        "watch_create": {**ranges, "start_revision": 1},
    }
    return values.get(op) or open_ended.get(op) or ({"key": key} if op == "history" else {})


def is_allowed(op: str, who: Credential) -> bool:
    """Whether an operation with such fields may be served to somebody who has no role."""
    if op in OPEN:
        return True
    if who.name != A_USER:
        return False
    # A lease that is not there has no keys: that it is not there is an answer.
    return op in OWN or op.startswith("lease_")


def _judge(me: Intruder, op: str, who: Credential, allowed: bool, error: str | None) -> None:
    """Count what was answered; `error` None: the request was served."""
    if error is not None:
        me.sight.add(f"“{error}”")
    elif allowed:
        me.sight.add("answered, as anybody may ask it")
    else:
        me.saw_through(f"{op} (shown: {who.name})")


def prying(me: Intruder) -> None:
    """Operations of the client protocol by ZeroMQ, each with a credential of its own."""
    asked: list[tuple[str, Credential, bool]] = []
    with me.call_on() as connection:
        for number in range(REQUESTS):
            op = me.chance.choice(list(OPS))
            who = _credential(me)
            fields = fields_of(op, me.chance, me.facts())
            asked.append((op, who, is_allowed(op, who)))
            shown = {} if who.token is None else {"token": who.token}
            connection.send(message(pack({"op": op, "id": number, **fields, **shown})))
            # A late answer is one to an earlier request.
            for frames in connection.messages(1, WAIT_SECONDS):
                answer = msgpack.unpackb(frames[-1], strict_map_key=False)
                fault = (answer.get("error") or {}).get("message") or answer.get("cancel_reason")
                _judge(me, *asked[int(answer.get("id", number))], fault)


_UNARY: Final[dict[str, Rpc]] = {
    rpc.http_paths[0]: rpc
    for rpc in RPCS.values()
    if rpc.http_paths and rpc.kind is RpcKind.UNARY and rpc.op is not None
}


def prying_by_json(me: Intruder) -> None:
    """The same by etcd's JSON gateway, with the token in either header."""
    path = me.chance.choice(list(_UNARY))
    op = _UNARY[path].op or ""
    who = _credential(me)
    fields = fields_of(op, me.chance, me.facts())
    name = me.chance.choice(("Authorization", "Grpc-Metadata-Token"))
    shown = "" if who.token is None else f"{name}: {who.token}\r\n"
    body = json.dumps(_as_json(fields)).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: front\r\nContent-Length: {len(body)}\r\n{shown}\r\n"
    with me.reach_front() as connection:
        connection.send(head.encode() + body)
        connection.socket.settimeout(WAIT_SECONDS)
        answer = connection.socket.recv(READ_BYTES)
    status, _, text = answer.partition(b"\r\n\r\n")
    if not status.startswith(b"HTTP/1.1 "):
        me.sight.add("no answer")
        return
    served = status.startswith(b"HTTP/1.1 200")
    error = None if served else _message_of(text)
    _judge(me, op, who, is_allowed(op, who), error)


def _message_of(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return "an answer that is no error of the gateway"


def _as_json(value: Any, name: str = "") -> Any:
    """A value as the gateway takes it: bytes, and texts that stand for bytes, in base64."""
    if isinstance(value, dict):
        return {field: _as_json(item, field) for field, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, str) and name in ("key", "range_end", "value"):
        value = value.encode()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def guessing(me: Intruder) -> None:
    """Wrong passwords, one after the other, for users that are there and one that is not."""
    with me.call_on() as connection:
        for number in range(REQUESTS):
            guess = f"{me.chance.choice(GUESSES)}{me.chance.randrange(10)}"
            login = {"op": "authenticate", "name": me.chance.choice(USERS), "password": guess}
            connection.send(message(pack({**login, "id": number})))
        me.saw_answers(connection, REQUESTS, WAIT_SECONDS)


KINDS: Final = (
    Kind("prying", prying, 0.05),
    Kind("prying-by-json", prying_by_json, 0.05),
    Kind("guessing", guessing, 0.5),
)
"""Everything that is done to a cluster that checks requests."""
