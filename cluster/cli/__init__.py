"""leasectl: the command line of a cluster, with etcdctl's commands, flags, outputs and exit codes.

COMMANDS is the table of all commands: to add one, write a module and name its function here.
"""

from __future__ import annotations

import gc
import os
import sys
import warnings
from typing import TYPE_CHECKING, Final

from cluster.cli.ending import EXIT_SIGINT

if TYPE_CHECKING:
    from cluster.cli.app import CommandTable

COMMANDS: Final[CommandTable] = {
    "put": "cluster.cli.keys:put",
    "get": "cluster.cli.keys:get",
    "del": "cluster.cli.keys:delete",
    "incr": "cluster.cli.keys:increment",
    "edit": "cluster.cli.edit:edit",
    "export": "cluster.cli.transfer:export_keys",
    "import": "cluster.cli.transfer:import_keys",
    "txn": "cluster.cli.txn:txn",
    "watch": "cluster.cli.watch:watch",
    "compaction": "cluster.cli.compaction:compaction",
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
    "member": (
        "Membership related commands",
        {
            "list": "cluster.cli.member:list_members",
            "add": "cluster.cli.member:add",
            "remove": "cluster.cli.member:remove",
            "update": "cluster.cli.member:update",
            "promote": "cluster.cli.member:promote",
            "replace": "cluster.cli.member:replace",
            "rotate-key": "cluster.cli.member:rotate_key",
        },
    ),
    "wait": "cluster.cli.wait:wait",
    "move-leader": "cluster.cli.member:move_leader",
    "keys": (
        "Keys of clients, and of nodes whose clients have keys",
        {"init": "cluster.cli.own_keys:init", "cluster": "cluster.cli.own_keys:cluster"},
    ),
    "endpoint": (
        "Endpoint related commands",
        {
            "status": "cluster.cli.endpoint:status",
            "health": "cluster.cli.endpoint:health",
            "hashkv": "cluster.cli.endpoint:hashkv",
        },
    ),
    "alarm": (
        "Alarm related commands",
        {
            "list": "cluster.cli.alarm:list_alarms",
            "disarm": "cluster.cli.alarm:disarm",
        },
    ),
    "auth": (
        "Enable or disable authentication",
        {
            "enable": "cluster.cli.auth:enable",
            "disable": "cluster.cli.auth:disable",
            "status": "cluster.cli.auth:status",
        },
    ),
    "user": (
        "User related commands",
        {
            "add": "cluster.cli.user:add",
            "delete": "cluster.cli.user:delete",
            "get": "cluster.cli.user:get",
            "list": "cluster.cli.user:list_users",
            "passwd": "cluster.cli.user:passwd",
            "grant-role": "cluster.cli.user:grant_role",
            "revoke-role": "cluster.cli.user:revoke_role",
            "key": (
                "Public keys that stand for users",
                {
                    "add": "cluster.cli.user:add_key",
                    "remove": "cluster.cli.user:remove_key",
                },
            ),
        },
    ),
    "role": (
        "Role related commands",
        {
            "add": "cluster.cli.role:add",
            "delete": "cluster.cli.role:delete",
            "get": "cluster.cli.role:get",
            "list": "cluster.cli.role:list_roles",
            "grant-permission": "cluster.cli.role:grant_permission",
            "revoke-permission": "cluster.cli.role:revoke_permission",
            "set-limits": "cluster.cli.role:set_limits",
        },
    ),
    "doctor": "cluster.cli.doctor:doctor",
    "defrag": "cluster.cli.defrag:defrag",
    "make-mirror": "cluster.cli.make_mirror:make_mirror",
    "snapshot": (
        "Manages snapshots of a node's data",
        {
            "save": "cluster.cli.snapshot:save",
            "status": "cluster.cli.snapshot:status",
            "restore": "cluster.cli.snapshot:restore",
        },
    ),
    "check": (
        "Checks a property of the cluster",
        {"perf": "cluster.cli.check:perf", "datascale": "cluster.cli.datascale:datascale"},
    ),
    "lock": "cluster.cli.lock:lock",
    "elect": "cluster.cli.lock:elect",
    "bench": (
        "Put a load on the cluster and measure it",
        {
            "put": "cluster.cli.bench:put",
            "get": "cluster.cli.bench:get",
            "sget": "cluster.cli.bench:sget",
            "txn": "cluster.cli.bench:txn",
            "mixed": "cluster.cli.bench:mixed",
            "lease-grant": "cluster.cli.bench:lease_grant",
            "lease-keep-alive": "cluster.cli.bench:lease_keep_alive",
            "watch": "cluster.cli.bench:watch",
        },
    ),
    "shell": "cluster.cli.shell:shell",
    "top": "cluster.cli.top:top",
    "completion": "cluster.cli.completion:completion",
    "help": "cluster.cli.help:help_about",
    "version": "cluster.cli.version:version",
}

GC_OBJECTS: Final = 50_000
"""The garbage collector begins after this number of new objects, and not after 700: what is made
while modules load stays, so that looking for garbage among it would only cost time."""

COMPLETION_VARIABLE: Final = "_LEASECTL_COMPLETE"
"""What click looks for when leasectl starts; a shell's script sets it."""

STDERR: Final = 2

HELP: Final = "The command line client of Leasehold, a replicated key-value store with leases."


def main(arguments: list[str] | None = None) -> None:
    """Run leasectl and exit with its status."""
    gc.set_threshold(GC_OBJECTS)
    if COMPLETION_VARIABLE in os.environ:
        # A shell completes a word: whatever is wrong, nothing of it belongs into the prompt.
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDERR)
    # Ctrl-C may come between the making of a coroutine and its start, which is no news for a user.
    warnings.simplefilter("ignore", RuntimeWarning)
    try:
        sys.exit(_status(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:  # while modules load; a command says itself how it ends
        sys.exit(EXIT_SIGINT)
    finally:
        # The memory goes with the process: Python would spend 15 ms on its last look for garbage.
        gc.freeze()


def _status(arguments: list[str]) -> int:
    from cluster.cli.app import PROGRAM, LazyGroup, run  # noqa: PLC0415 - the table stays cheap
    from cluster.cli.output import open_missing_streams  # noqa: PLC0415

    open_missing_streams()
    root = LazyGroup(PROGRAM, HELP, COMMANDS)
    return run(root, arguments)
