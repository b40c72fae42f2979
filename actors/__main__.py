"""`leasehold` (= `python -m actors`): reads a node's flags, then runs the node until it is stopped.

Etcd's flag names, and an environment variable LEASEHOLD_FLAG_NAME behind each; a flag wins over
its variable. Owns the process: arguments, logging, the exit status. What a node does is the
business of `actors.node`.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from argparse import SUPPRESS
from collections.abc import Mapping, Sequence
from typing import Final

from cluster import __version__
from cluster.config import LOG_LEVELS, ConfigError, NodeConfig, NodeFlags, resolve
from cluster.flags import FlagParser, fail

PROGRAM: Final = "leasehold"
ENVIRONMENT_PREFIX: Final = "LEASEHOLD_"
ETCD_PREFIX: Final = "ETCD_"
ADDED_MEMBER_FLAGS: Final = frozenset(
    {"name", "initial_cluster", "initial_advertise_peer_urls", "initial_cluster_state"}
)
"""What `leasectl member add` prints for the new member's environment, in etcd's spelling."""

STDIN_STOP_SECONDS: Final = 15.0
"""A node whose parent is gone stops gracefully within this time, or at once after it."""

HELP: Final = {
    "name": "human-readable name of this member",
    "data_dir": "where this member keeps its data (default NAME.leasehold)",
    "listen_client_urls": "where to listen for clients (default tcp://localhost:2379)",
    "advertise_client_urls": "where clients reach this member (default tcp://localhost:2379)",
    "listen_peer_urls": "where to listen for the other members",
    "initial_advertise_peer_urls": "where the other members reach this one",
    "initial_cluster": "the members, NAME=URL,NAME=URL... (default this one alone)",
    "initial_cluster_state": "new, or existing: join a running cluster after `member add`",
    "initial_cluster_token": "keeps clusters apart that have the same URLs",
    "heartbeat_interval": "milliseconds between a leader's heartbeats",
    "election_timeout": "milliseconds without a leader before an election",
    "max_request_bytes": "the largest request a client may send",
    "max_txn_ops": "compares or operations of one transaction, at most",
    "min_lease_ttl": "seconds, may be a fraction (default 1.5 election timeouts, whole seconds)",
    "snapshot_catchup_entries": "entries kept behind a snapshot, for members that lag",
    "auto_compaction_mode": "what the next flag is about: periodic (time), or revision",
    "auto_compaction_retention": "history kept: 30m, 1h30m, 2 (hours); or so many revisions",
    "quota_backend_bytes": "bytes in use before writes are refused (0: 2 GiB, negative: no limit)",
    "corrupt_check_time": "time between two checks that the members hold the same (0: none)",
    "watch_progress_notify_interval": "how often an idle watch that asked hears how far it is",
    "log_level": f"one of {', '.join(LOG_LEVELS)}",
}

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}

log = logging.getLogger("leasehold")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one node with these arguments (the command line's by default); the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["snapshot"]:
        from actors import snapshot_commands  # noqa: PLC0415 - a node does not need them

        return snapshot_commands.main(arguments[1:])
    parsed = _parser().parse_args(arguments)
    if parsed.version:
        _print_version()
        return 0
    typed = {name: getattr(parsed, name) for name in NodeFlags._fields}
    flags = read_flags(typed, os.environ)
    try:
        config = resolve(flags)
    except (ConfigError, OSError) as error:
        fail(PROGRAM, str(error))
    _log_to_stderr(LEVELS[config.log_level])
    _warn_of_unknown_variables(os.environ)
    if parsed.stop_with_stdin:
        threading.Thread(target=_stop_with_stdin, name="stdin", daemon=True).start()
    return _run(config._replace(fault_control=parsed.fault_control))


def read_flags(typed: Mapping[str, str | None], environment: Mapping[str, str]) -> NodeFlags:
    """What was typed, else what the environment says, else the default."""
    chosen: dict[str, str] = {}
    for field in NodeFlags._fields:
        value = typed.get(field)
        if value is None:
            value = environment.get(ENVIRONMENT_PREFIX + field.upper())
        if value is None and field in ADDED_MEMBER_FLAGS:
            value = environment.get(ETCD_PREFIX + field.upper())
        if value is not None:
            chosen[field] = value
    return NodeFlags(**chosen)


def _run(config: NodeConfig) -> int:
    # Only now: a wrong flag is reported without loading Pykka, ZeroMQ and LMDB.
    from actors.node import run_node  # noqa: PLC0415

    return run_node(config)


def _parser() -> FlagParser:
    parser = FlagParser(
        PROGRAM,
        "One member of a Leasehold cluster. The flags are etcd's.",
        f"Each flag has an environment variable: {ENVIRONMENT_PREFIX}DATA_DIR is --data-dir.\n"
        f"`{PROGRAM} snapshot status|restore FILE` needs no node (see {PROGRAM} snapshot --help).\n"
        f"The lines that `leasectl member add` prints ({ETCD_PREFIX}NAME...) are understood too.",
    )
    for field, default in NodeFlags._field_defaults.items():
        shown = f"{HELP[field]} (default {default})" if default else HELP[field]
        parser.add_argument(f"--{field.replace('_', '-')}", metavar="VALUE", help=shown)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    # For a parent that holds the other end of a pipe: however it dies, the node follows.
    parser.add_argument("--stop-with-stdin", action="store_true", help=SUPPRESS)
    # For a test that has a socket there, through which it breaks this node's disk and links.
    parser.add_argument("--fault-control", default="", help=SUPPRESS)
    return parser


def _print_version() -> None:
    python = ".".join(str(part) for part in sys.version_info[:3])
    sys.stdout.write(f"{PROGRAM} Version: {__version__}\nPython Version: {python}\n")


def _log_to_stderr(level: int) -> None:
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03d %(levelname)-8s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S"
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])


def _warn_of_unknown_variables(environment: Mapping[str, str]) -> None:
    known = {ENVIRONMENT_PREFIX + field.upper() for field in NodeFlags._fields}
    for variable in sorted(environment):
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in known:
            log.warning("the environment variable %s stands for no flag", variable)


def _stop_with_stdin() -> None:
    """Wait for stdin to end, then stop the node as SIGTERM does, or harder if that takes long."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STDIN_STOP_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
