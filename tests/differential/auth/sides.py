"""One server, asked by gRPC as users with tokens ask it; what it answers is told without ids.

Messages are made and read by grpcio and protobuf, and not by the code that is judged.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from cluster.etcd.rpc.schema import RPCS, Rpc, RpcKind
from tests.differential.auth.language import LOGIN, ROOT_PASSWORD, Fields, Program, Step, step
from tests.differential.deliberate import is_nearly_all
from tests.differential.grpc_sides import UNLIMITED, fields_of
from tests.differential.sides import ANSWER_SECONDS, SideDiedError

OTHER_ROOT_PASSWORD: Final = "rootpw2"

EVERYTHING: Final = {"key": b"\0", "range_end": b"\0"}

SERVICES: Final = {
    "auth": b"Auth",
    "user": b"Auth",
    "role": b"Auth",
    "authenticate": b"Auth",
    "lease": b"Lease",
    "member": b"Cluster",
    "watch": b"Watch",
    **dict.fromkeys(("alarm", "status", "defragment", "hash", "snapshot", "move"), b"Maintenance"),
}
"""The service of an operation, by the first word of its name; else it is KV's."""

METHODS: Final = {
    LOGIN: b"/etcdserverpb.Auth/Authenticate",
    "watch_create": b"/etcdserverpb.Watch/Watch",
    "hash_kv": b"/etcdserverpb.Maintenance/HashKV",
    "campaign": b"/v3electionpb.Election/Campaign",
    "observe": b"/v3electionpb.Election/Observe",
    "lock": b"/v3lockpb.Lock/Lock",
    "unlock": b"/v3lockpb.Lock/Unlock",
}
"""The RPCs whose names are not those of their operations."""

NO_SUCH_TOKEN: Final = "neverwasatoken.1"

REVISIONS: Final = {"revision", "create_revision", "mod_revision"}
"""Of a server that has run programs before; they are told from this program's beginning."""

UNORDERED: Final = {"keys", "leases"}


def rpc_of(name: str) -> Rpc:
    """The RPC of a step."""
    path = METHODS.get(name)
    if path is None:
        service = SERVICES.get(name.split("_", maxsplit=1)[0], b"KV")
        method = "".join(word.capitalize() for word in name.split("_"))
        path = b"/etcdserverpb." + service + b"/" + method.encode()
    return RPCS[path]


class AuthSide:
    """A server at this address, ended by `stop`."""

    def __init__(self, name: str, address: str, stop: Callable[[], None]) -> None:
        self.name = name
        self._stop = stop
        self._channel = grpc.insecure_channel(address, options=UNLIMITED)
        self._tokens: dict[str, str] = {}
        self._began = 0.0
        self._first_revision = 0
        self._first_auth_revision = 0

    def run(self, program: Program) -> list[Fields]:
        """What each step of a program is answered, on a server that was emptied before."""
        self.empty()
        return [self.answer(each) for each in program]

    def empty(self) -> None:
        """Switch authentication off, and delete users, roles, leases and keys."""
        self._tokens = {}
        for password in (ROOT_PASSWORD, OTHER_ROOT_PASSWORD):
            self._ask(Step(LOGIN, "", {"name": "root", "password": password}, "root"))
        who = "root" if "root" in self._tokens else ""
        self._must(step("auth_disable", who))
        for name in self._must(step("user_list")).get("users", ()):
            self._must(step("user_delete", name=name))
        for name in self._must(step("role_list")).get("roles", ()):
            self._must(step("role_delete", role=name))
        for lease in self._must(step("lease_leases")).get("leases", ()):
            self._must(step("lease_revoke", ID=lease["ID"]))
        self._must(step("delete_range", **EVERYTHING))
        status = self._must(step("auth_status"))
        self._began = time.monotonic()
        self._first_revision = status["header"]["revision"]
        self._first_auth_revision = status["authRevision"]
        self._tokens = {}

    def answer(self, asked: Step) -> Fields:
        """The answer to one step, without what no two servers share."""
        told: Fields = self._told(self._ask(asked), "")
        if "authRevision" in told:
            told["authRevision"] -= self._first_auth_revision
        return told

    def stop(self) -> None:
        """End the server and forget its data."""
        self._channel.close()
        self._stop()

    def _must(self, asked: Step) -> Fields:
        answer = self._ask(asked)
        assert "error" not in answer, f"{self.name} cannot be emptied: {asked}: {answer}"
        return answer

    def _ask(self, asked: Step) -> Fields:
        rpc = rpc_of(asked.name)
        fields = {"create_request": asked.fields} if asked.name == "watch_create" else asked.fields
        token = self._tokens.get(asked.who, NO_SUCH_TOKEN)
        metadata = (("token", token),) if asked.who else ()
        try:
            answer = self._first(rpc, rpc.request(**fields), metadata)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise SideDiedError(f"{self.name}: {asked}: {error.details()}") from None
            return {"error": {"code": error.code().value[0], "message": error.details()}}
        if asked.name == LOGIN:
            self._tokens[asked.kept_as] = answer.pop("token")
        return answer

    def _first(self, rpc: Rpc, request: Message, metadata: Any) -> Fields:
        """The first message of an answer; a stream is ended then."""
        make: Any = {
            RpcKind.UNARY: self._channel.unary_unary,
            RpcKind.SERVER_STREAM: self._channel.unary_stream,
            RpcKind.BOTH_STREAM: self._channel.stream_stream,
        }[rpc.kind]
        ask = make(
            rpc.path.decode(), lambda sent: sent.SerializeToString(), rpc.response.FromString
        )
        if rpc.kind is RpcKind.UNARY:
            return fields_of(ask(request, timeout=ANSWER_SECONDS, metadata=metadata))
        requests: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        requests.put(request)
        sent = request if rpc.kind is RpcKind.SERVER_STREAM else iter(requests.get, None)
        answers = ask(sent, timeout=ANSWER_SECONDS, metadata=metadata)
        try:
            first = next(answers, None)
        finally:
            requests.put(None)
            answers.cancel()
        return {} if first is None else fields_of(first)

    def _told(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return self._told_fields(value, name)
        if isinstance(value, list):
            told = [self._told(item, name) for item in value]
            return sorted(told, key=repr) if name in UNORDERED else told
        return value - self._first_revision if name in REVISIONS and value else value

    def _told_fields(self, value: Fields, name: str) -> Fields:
        kept = {"revision": value.get("revision", 0)} if name == "header" else value
        told = {field: self._told(item, field) for field, item in kept.items()}
        granted = told.get("grantedTTL", 0)
        took_seconds = time.monotonic() - self._began
        if granted and is_nearly_all(told.get("TTL", 0), granted, took_seconds):
            told["TTL"] = "nearly all of it"
        return told
