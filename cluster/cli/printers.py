"""What a printer is, the one for people (`simple`), and how the others are found.

A printer turns one command's result into lines of bytes; keys and values pass as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from cluster.cli.app import emit
from cluster.cli.settings import EXIT_BAD_FEATURE, CommandError
from cluster.cli.values import format_duration, format_seconds, format_size

if TYPE_CHECKING:
    from cluster.client.results import (
        DeleteResult,
        KeyValue,
        LeaseGrantResult,
        LeaseKeepAliveResult,
        LeaseListResult,
        LeaseRevokeResult,
        LeaseTimeToLiveResult,
        MemberListResult,
        PutResult,
        RangeResult,
        StatusResult,
        WatchBatch,
    )

FORMATS: Final = ("simple", "json", "fields", "table")


class EndpointStatus(NamedTuple):
    """One endpoint and what it said of itself."""

    endpoint: str
    status: StatusResult


class EndpointHealth(NamedTuple):
    """One endpoint, how long its answer took, and what was wrong with it if anything was."""

    endpoint: str
    took_seconds: float
    error: str


class Printer:
    """Prints results; a command that a format has no form for is refused before it runs."""

    commands: frozenset[str] | None = None
    """The commands that this format can print; None for all."""

    def __init__(self, is_hex: bool) -> None:
        self.is_hex = is_hex

    def put(self, result: PutResult) -> None:
        """The answer to a put."""
        raise NotImplementedError

    def get(self, result: RangeResult, values_only: bool = False) -> None:
        """The answer to a get."""
        raise NotImplementedError

    def delete(self, result: DeleteResult) -> None:
        """The answer to a del."""
        raise NotImplementedError

    def watch(self, batch: WatchBatch) -> None:
        """Events of a watch."""
        raise NotImplementedError

    def lease_grant(self, result: LeaseGrantResult) -> None:
        """A lease that was granted."""
        raise NotImplementedError

    def lease_revoke(self, lease_id: int, result: LeaseRevokeResult) -> None:
        """A lease that was revoked."""
        raise NotImplementedError

    def lease_time_to_live(self, result: LeaseTimeToLiveResult, with_keys: bool) -> None:
        """What is left of a lease."""
        raise NotImplementedError

    def lease_list(self, result: LeaseListResult) -> None:
        """All leases."""
        raise NotImplementedError

    def lease_keep_alive(self, result: LeaseKeepAliveResult) -> None:
        """A lease that was renewed."""
        raise NotImplementedError

    def lease_gone(self, lease_id: int) -> None:
        """A lease that cannot be renewed any more."""

    def member_list(self, result: MemberListResult) -> None:
        """All members."""
        raise NotImplementedError

    def endpoint_status(self, rows: list[EndpointStatus]) -> None:
        """The state of some nodes."""
        raise NotImplementedError

    def endpoint_health(self, rows: list[EndpointHealth]) -> None:
        """The health of some nodes."""
        raise NotImplementedError


class SimplePrinter(Printer):
    """For people, and for scripts that read lines: etcdctl's default format."""

    def put(self, result: PutResult) -> None:
        emit(b"OK")
        if result.prev_kv is not None:
            self._key_value(result.prev_kv)

    def get(self, result: RangeResult, values_only: bool = False) -> None:
        for kv in result:
            if values_only:
                emit(self._text(kv.value))
            else:
                self._key_value(kv)

    def delete(self, result: DeleteResult) -> None:
        emit(b"%d" % result.deleted)
        for kv in result.prev_kvs:
            self._key_value(kv)

    def watch(self, batch: WatchBatch) -> None:
        for event in batch.events:
            emit(event.type.encode())
            if event.prev_kv is not None:
                self._key_value(event.prev_kv)
            self._key_value(event.kv)

    def lease_grant(self, result: LeaseGrantResult) -> None:
        _line(f"lease {result.id:016x} granted with TTL({format_seconds(result.ttl)}s)")

    def lease_revoke(self, lease_id: int, result: LeaseRevokeResult) -> None:
        _line(f"lease {lease_id:016x} revoked")

    def lease_time_to_live(self, result: LeaseTimeToLiveResult, with_keys: bool) -> None:
        if result.ttl == -1:
            _line(f"lease {result.id:016x} already expired")
            return
        granted = f"granted with TTL({format_seconds(result.granted_ttl)}s)"
        text = f"lease {result.id:016x} {granted}, remaining({format_seconds(result.ttl)}s)"
        if with_keys:
            keys = b" ".join(result.keys or ())
            emit(text.encode() + b", attached keys([" + keys + b"])")
        else:
            _line(text)

    def lease_list(self, result: LeaseListResult) -> None:
        _line(f"found {len(result.ids)} leases")
        for lease_id in result.ids:
            _line(f"{lease_id:016x}")

    def lease_keep_alive(self, result: LeaseKeepAliveResult) -> None:
        _line(f"lease {result.id:016x} keepalived with TTL({format_seconds(result.ttl)})")

    def lease_gone(self, lease_id: int) -> None:
        _line(f"lease {lease_id:016x} expired or revoked.")

    def member_list(self, result: MemberListResult) -> None:
        for row in member_rows(result):
            _line(", ".join(row))

    def endpoint_status(self, rows: list[EndpointStatus]) -> None:
        for row in status_rows(rows):
            _line(", ".join(row))

    def endpoint_health(self, rows: list[EndpointHealth]) -> None:
        raise AssertionError("each endpoint's line is written as it comes")

    def _key_value(self, kv: KeyValue) -> None:
        emit(self._text(kv.key), self._text(kv.value))

    def _text(self, raw: bytes) -> bytes:
        return b"".join(b"\\x%02x" % byte for byte in raw) if self.is_hex else raw


def member_rows(result: MemberListResult) -> list[list[str]]:
    """One row for each member: ID, STATUS, NAME, PEER ADDRS, CLIENT ADDRS, IS LEARNER."""
    return [
        [
            f"{member.id:x}",
            "started" if member.name else "unstarted",
            member.name,
            ",".join(member.peer_urls),
            ",".join(member.client_urls),
            truth(member.is_learner),
        ]
        for member in result.members
    ]


def status_rows(rows: Iterable[EndpointStatus]) -> list[list[str]]:
    """One row for each endpoint, with etcd 3.5's columns from ENDPOINT to ERRORS."""
    return [
        [
            endpoint,
            f"{status.header.member_id:x}",
            status.version,
            format_size(status.db_size),
            truth(status.leader == status.header.member_id),
            truth(status.is_learner),
            str(status.raft_term),
            str(status.raft_index),
            str(status.raft_applied_index),
            ", ".join(status.errors),
        ]
        for endpoint, status in rows
    ]


def health_line(row: EndpointHealth) -> str:
    """One endpoint's health, for people."""
    if row.error:
        return f"{row.endpoint} is unhealthy: failed to commit proposal: {row.error}"
    took = format_duration(row.took_seconds)
    return f"{row.endpoint} is healthy: successfully committed proposal: took = {took}"


def truth(value: bool) -> str:
    """A boolean as Go prints it."""
    return "true" if value else "false"


def make_printer(write_out: str, is_hex: bool, command: str) -> Printer:
    """The printer of a format, or CommandError when it has no form for the command."""
    printer: Printer
    match write_out:
        case "simple":
            return SimplePrinter(is_hex)
        case "json":
            from cluster.cli.json_printer import JsonPrinter  # noqa: PLC0415

            printer = JsonPrinter(is_hex)
        case "fields":
            from cluster.cli.fields_printer import FieldsPrinter  # noqa: PLC0415

            printer = FieldsPrinter(is_hex)
        case "table":
            from cluster.cli.table_printer import TablePrinter  # noqa: PLC0415

            printer = TablePrinter(is_hex)
        case _:
            raise CommandError("unsupported output format", EXIT_BAD_FEATURE)
    if printer.commands is not None and command not in printer.commands:
        raise CommandError(f"{write_out} not supported as output format", EXIT_BAD_FEATURE)
    return printer


def _line(text: str) -> None:
    emit(text.encode())
