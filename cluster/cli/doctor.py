"""leasectl doctor: looks at every member, and says what is wrong or may become so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from cluster.cli.app import Command
from cluster.cli.diagnosis import Finding, Patient, Severity, findings
from cluster.cli.ending import EXIT_BAD_FEATURE, CommandError, bad_arguments
from cluster.cli.endpoint import endpoints_of
from cluster.cli.output import emit
from cluster.cli.readable import line
from cluster.cli.settings import CliSettings
from cluster.errors import LeaseholdError

if TYPE_CHECKING:
    from cluster.client.results import StatusResult

FORMATS: Final = ("simple", "jsonl")


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="")
@click.option("--here", is_flag=True, help="Ask the endpoints given, and not all members")
@click.pass_obj
def doctor(settings: CliSettings, words: tuple[str, ...], here: bool) -> None:
    """Look at every member: who leads, versions, lag, alarms, data, disks, links (not in etcd).

    Each line is ok, a note, a WARNing or a FAILure. With a failure the exit status is 1. Data are
    compared by a hash, for which each member reads its whole store. Clocks are not looked at:
    leases run on replicated time.
    """
    if words:
        bad_arguments("doctor takes no argument")
    settings.require_known_format()
    if settings.write_out not in FORMATS:
        text = f"{settings.write_out} not supported as output format"
        raise CommandError(text, EXIT_BAD_FEATURE)
    found = list(findings(_examined(settings, endpoints_of(settings, not here))))
    for each in found:
        emit(_text(each, settings.write_out))
    if any(each.severity is Severity.FAILURE for each in found):
        raise CommandError("unhealthy cluster")


def _text(finding: Finding, write_out: str) -> bytes:
    if write_out == "jsonl":
        return line({**finding._asdict(), "severity": finding.severity.value.lower()})
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
            metrics: dict[str, Any] = client.request(request("metrics"), dict, pinned=endpoint)
    except LeaseholdError as error:
        return Patient(endpoint, status, error=error.message)
    return Patient(endpoint, status, metrics)


def _hashed(settings: CliSettings, patient: Patient, revision: int) -> Patient:
    if patient.status is None:
        return patient
    try:
        with settings.client([patient.endpoint]) as client:
            return patient._replace(hash=client.hash_kv(patient.endpoint, revision))
    except LeaseholdError as error:
        return patient._replace(error=error.message)
