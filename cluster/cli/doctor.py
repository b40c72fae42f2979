"""leasectl doctor: looks at every member, and says what is wrong or may become so."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import click

from cluster.cli.app import Command
from cluster.cli.diagnosis import ClockReading, Finding, Patient, Port, Severity, findings
from cluster.cli.ending import EXIT_BAD_FEATURE, CommandError, bad_arguments
from cluster.cli.endpoint import ENDPOINTS_AT_ONCE_MAX, endpoints_of
from cluster.cli.output import emit
from cluster.cli.readable import line
from cluster.cli.settings import CliSettings
from cluster.errors import LeaseholdError

if TYPE_CHECKING:
    from cluster.client.results import StatusResult

FORMATS: Final = ("simple", "json", "jsonl")


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option("--here", is_flag=True, help="Ask the endpoints given, and not all members")
@click.pass_obj
def doctor(settings: CliSettings, words: tuple[str, ...], here: bool) -> None:
    """Look at every member: who leads, data, ports, clocks, disks, links (not in etcd).

    Each line is ok, a note, a WARNing or a FAILure. The exit status is 1 if there is a failure, or
    if nobody says who the members are; notes and warnings leave it 0. Data are compared by a hash,
    for which each member reads its whole store. With -w json it is one object.
    """
    if words:
        bad_arguments("doctor takes no argument")
    settings.require_known_format()
    if settings.write_out not in FORMATS:
        text = f"{settings.write_out} not supported as output format"
        raise CommandError(text, EXIT_BAD_FEATURE)
    patients = _examined(settings, endpoints_of(settings, not here))
    found = list(findings(patients, () if here else _ports(settings)))
    has_failed = any(each.severity is Severity.FAILURE for each in found)
    if settings.write_out == "json":
        listed = [_fields(each) for each in found]
        emit(json.dumps({"healthy": not has_failed, "findings": listed}).encode())
    else:
        for each in found:
            emit(_text(each, settings.write_out))
    if has_failed:
        raise CommandError("unhealthy cluster")


def _fields(finding: Finding) -> dict[str, str]:
    return {**finding._asdict(), "severity": finding.severity.value.lower()}


def _text(finding: Finding, write_out: str) -> bytes:
    if write_out == "jsonl":
        return line(_fields(finding))
    return f"{finding.severity.value:<5}{finding.about:<9}{finding.text}".encode()


def _examined(settings: CliSettings, endpoints: list[str]) -> list[Patient]:
    """What each member says; the data of all are compared at the oldest of their revisions."""
    patients = [_asked(settings, endpoint) for endpoint in endpoints]
    statuses = [patient.status for patient in patients if patient.status is not None]
    if len(statuses) < 2:
        return patients  # there is nothing to compare
    revision = min(status.header.revision for status in statuses)
    return [_hashed(settings, patient, revision) for patient in patients]


def _asked(settings: CliSettings, endpoint: str) -> Patient:
    from cluster.client.requests import request  # noqa: PLC0415 - as connect() does

    status: StatusResult | None = None
    try:
        with settings.client([endpoint]) as client:
            status = client.status(endpoint)
            asked = time.time()
            metrics: dict[str, Any] = client.request(request("metrics"), dict, pinned=endpoint)
            heard = time.time()
    except LeaseholdError as error:
        return Patient(endpoint, status, error=error.message)
    ahead = metrics["wall_ms"] / 1_000 - (asked + heard) / 2
    return Patient(endpoint, status, metrics, clock=ClockReading(ahead, (heard - asked) / 2))


def _hashed(settings: CliSettings, patient: Patient, revision: int) -> Patient:
    if patient.status is None:
        return patient
    try:
        with settings.client([patient.endpoint]) as client:
            return patient._replace(hash=client.hash_kv(patient.endpoint, revision))
    except LeaseholdError as error:
        return patient._replace(error=error.message)


def _ports(settings: CliSettings) -> list[Port]:
    """The addresses that members advertise to clients: whether somebody listens there."""
    with settings.connect() as client:
        members = client.member_list().members
    ports = [Port(each.name or f"{each.id:x}", url) for each in members for url in each.client_urls]

    def knocked(port: Port) -> Port:
        host, _, number = port.url.partition("://")[2].rpartition(":")
        try:
            place = host.strip("[]"), int(number)
            socket.create_connection(place, settings.dial_timeout_seconds).close()
        except OSError as error:
            return port._replace(error=(error.strerror or str(error)).lower())
        return port

    with ThreadPoolExecutor(ENDPOINTS_AT_ONCE_MAX) as pool:
        return list(pool.map(knocked, ports))
