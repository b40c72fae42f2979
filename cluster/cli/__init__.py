"""leasectl: the command line of a cluster, with etcdctl's commands, flags, outputs and exit codes.

COMMANDS is the table of all commands: to add one, write a module and name its function here.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cluster.cli.app import CommandTable

COMMANDS: Final[CommandTable] = {
    "put": "cluster.cli.keys:put",
    "get": "cluster.cli.keys:get",
    "del": "cluster.cli.keys:delete",
    "watch": "cluster.cli.watch:watch",
    "lease": (
        "Lease related commands",
        {
            "grant": "cluster.cli.lease:grant",
            "revoke": "cluster.cli.lease:revoke",
            "timetolive": "cluster.cli.lease:timetolive",
            "list": "cluster.cli.lease:list_leases",
            "keep-alive": "cluster.cli.lease:keep_alive",
        },
    ),
    "member": ("Member related commands", {"list": "cluster.cli.member:list_members"}),
    "endpoint": (
        "Endpoint related commands",
        {
            "status": "cluster.cli.endpoint:status",
            "health": "cluster.cli.endpoint:health",
        },
    ),
    "bench": (
        "Put a load on the cluster and measure it",
        {
            "put": "cluster.cli.bench:put",
            "get": "cluster.cli.bench:get",
            "sget": "cluster.cli.bench:sget",
            "lease-grant": "cluster.cli.bench:lease_grant",
            "lease-keep-alive": "cluster.cli.bench:lease_keep_alive",
            "watch": "cluster.cli.bench:watch",
        },
    ),
    "version": "cluster.cli.version:version",
}

HELP: Final = "The command line client of Leasehold, a replicated key-value store with leases."


def main(arguments: list[str] | None = None) -> None:
    """Run leasectl and exit with its status."""
    from cluster.cli.app import PROGRAM, LazyGroup, run  # noqa: PLC0415 - the table stays cheap

    root = LazyGroup(PROGRAM, HELP, COMMANDS)
    sys.exit(run(root, sys.argv[1:] if arguments is None else arguments))
