"""`leasehold` (= `python -m actors`): reads a node's flags, then runs the node until it is stopped.

The flags are etcd's. Each has two environment variables, LEASEHOLD_FLAG_NAME and etcd's own
ETCD_FLAG_NAME: a flag wins over the first, and the first over the second. Owns the process:
arguments, logging, the exit status. Refuses to know what a node does: `actors.node` does.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import SUPPRESS, Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from actors.language.errors import described
from actors.runtime.channel import Channel
from cluster import __version__
from cluster.audit_flags import AUDIT_LEVELS
from cluster.config import LOG_LEVELS, NodeConfig, NodeFlags, resolve
from cluster.flag_values import ConfigError
from cluster.flags import FlagParser, fail
from cluster.logs import log_to_stderr, tell_to
from cluster.tls.options import REFUSED

PROGRAM: Final = "leasehold"
PREFIXES: Final = ("LEASEHOLD_", "ETCD_")
"""The prefixes of a flag's environment variables; the first variable that is set counts."""

HELP: Final = {
    "name": "human-readable name of this member",
    "data_dir": "where this member keeps its data (default NAME.leasehold)",
    "listen_client_urls": "where to listen for clients (default http://localhost:2379)",
    "listen_metrics_urls": "where to serve /metrics and the probes apart from clients",
    "advertise_client_urls": "where clients reach this member (default http://localhost:2379)",
    "listen_peer_urls": "where to listen for the other members",
    "initial_advertise_peer_urls": "where the other members reach this one",
    "initial_cluster": "the members, NAME=URL,NAME=URL... (default this one alone)",
    "initial_cluster_state": "new, or existing: join a running cluster after `member add`",
    "initial_cluster_token": "keeps clusters apart that have the same URLs",
    "initial_cluster_key_file": "a secret that all first members share: their first keys",
    "client_keys": "let in no client without a key (ZeroMQ's CURVE)",
    "insecure": "listen without keys where other machines can reach this one",
    "heartbeat_interval": "milliseconds between a leader's heartbeats",
    "election_timeout": "milliseconds without a leader before an election",
    "max_request_bytes": "the largest request a client may send",
    "max_txn_ops": "compares or operations of one transaction, at most",
    "min_lease_ttl": "seconds, may be a fraction (default 1.5 election timeouts, whole seconds)",
    "snapshot_catchup_entries": "entries kept behind a snapshot, for members that lag",
    "auto_compaction_mode": "unit of the next flag: periodic (time), or revision (revisions)",
    "auto_compaction_retention": "history kept: 30m, 1h30m, 2 (hours); or a number of revisions",
    "quota_backend_bytes": "bytes in use before writes are refused (0: 2 GiB, negative: no limit)",
    "corrupt_check_time": "time between two checks that all members hold the same data (0: none)",
    "watch_progress_notify_interval": "how often a watch that asked for progress is told, if idle",
    "cors": "origins whose browsers may use the JSON API (default *: all)",
    "cert_file": "certificate for clients' https:// URLs (PEM); read again when it changes",
    "key_file": "its private key (PEM)",
    "trusted_ca_file": "authority whose certificates clients must have (PEM)",
    "client_cert_auth": "the common name of a client's certificate is its user",
    "cipher_suites": "cipher suites of TLS 1.2, in Go's names (default OpenSSL's secure ones)",
    "tls_min_version": "lowest version of TLS: TLS1.2 or TLS1.3",
    "tls_max_version": "highest version of TLS (default the highest there is)",
    "auto_tls": "make a certificate for the https:// URLs, if no file is given",
    "self_signed_cert_validity": "years until a certificate of --auto-tls ends",
    "auth_token_ttl": "seconds for which a token is good after a login, or after its last use",
    "bcrypt_cost": "work to check a password (scrypt): each one more doubles it, and its memory",
    "audit_log": "file for who did what, lines of JSON; {name} is the node's name (default none)",
    "audit_log_level": f"what is recorded, one of {', '.join(AUDIT_LEVELS)}: each has more",
    "audit_log_maxsize": "megabytes before the audit log is rotated",
    "audit_log_maxbackup": "rotated files of the audit log that are kept",
    "log_level": f"one of {', '.join(LOG_LEVELS)}",
    "log_format": "lines of the log: text for people, or json for programs",
}

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}

log = logging.getLogger("leasehold")


def main(
    arguments: Sequence[str] | None = None, run: Callable[[NodeConfig], int] | None = None
) -> int:
    """Run one node with these arguments, by default the command line's; returns the exit status.

    `run` is for a program that puts its node together in another way, such as a test: it gets the
    node's configuration when all else is ready, and returns the exit status.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["auth"]:
        from actors.offline import auth_commands  # noqa: PLC0415 - as below

        return auth_commands.main(arguments[1:])
    if arguments[:1] == ["key"]:
        from actors.offline import key_commands  # noqa: PLC0415 - as below

        return key_commands.main(arguments[1:])
    if arguments[:1] == ["snapshot"]:
        from actors.offline import snapshot_commands  # noqa: PLC0415 - a node does not need them

        return snapshot_commands.main(arguments[1:])
    log_format = _log_format(arguments, os.environ)
    parsed = _parser(log_format).parse_args(arguments)
    if parsed.version:
        _print_version()
        return 0
    typed = {name: getattr(parsed, name) for name in NodeFlags._fields}
    _refuse_flags_of_others(parsed, os.environ, log_format)
    flags = read_flags(typed, os.environ)
    try:
        config = resolve(flags)
    except ConfigError as error:
        text = str(error) + _told_by(str(error), typed, os.environ)
        fail(PROGRAM, text, name=flags.name, log_format=log_format)
    except OSError as error:
        fail(PROGRAM, described(error), name=flags.name, log_format=log_format)
    log_to_stderr(config.name, LEVELS[config.log_level], config.log_format)
    _warn_of_unknown_variables(os.environ)
    channel = _channel(parsed.launcher_fd, config)
    if channel is not None:
        tell_to(channel.tell)
    return run(config) if run is not None else _run(config, channel)


def read_flags(typed: Mapping[str, str | None], environment: Mapping[str, str]) -> NodeFlags:
    """Each flag as it was typed, else as the environment has it, else its default."""
    chosen: dict[str, str] = {}
    for field in NodeFlags._fields:
        value = typed.get(field)
        variable = _variable(field, environment)
        if value is not None:
            chosen[field] = value
        elif variable:
            chosen[field] = environment[variable]
    return NodeFlags(**chosen)


def _refuse_flags_of_others(
    parsed: Namespace, environment: Mapping[str, str], log_format: str
) -> None:
    """End the process if a flag of etcd is set that would leave a door open if it were ignored."""
    for flag, reason in REFUSED.items():
        field = flag.replace("-", "_")
        variable = _variable(field, environment)
        set_by = "" if getattr(parsed, field) is not None else variable
        text = environment[set_by] if set_by else getattr(parsed, field)
        if text not in {None, "", "false"}:
            line = f"--{flag}: {reason}" + (f" (from {set_by})" if set_by else "")
            fail(PROGRAM, line, log_format=log_format)


def _log_format(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The log's format, also if the arguments are wrong: it is how that is told."""
    flag, words = "--log-format", iter(arguments)
    chosen = environment.get(_variable("log_format", environment), "text")
    for word in words:
        if word == flag:
            chosen = next(words, chosen)
        elif word.startswith(f"{flag}="):
            chosen = word.removeprefix(f"{flag}=")
    return chosen


def _variable(field: str, environment: Mapping[str, str]) -> str:
    """The environment variable that sets a flag; "" if none does."""
    names = [prefix + field.upper() for prefix in PREFIXES]
    return next((name for name in names if name in environment), "")


def _told_by(
    complaint: str, typed: Mapping[str, str | None], environment: Mapping[str, str]
) -> str:
    """Names the variables that set the flags in a complaint: their user may have forgotten them."""
    about = [name for name in NodeFlags._fields if f"--{name.replace('_', '-')}" in complaint]
    told = [_variable(field, environment) for field in about if typed.get(field) is None]
    names = ", ".join(name for name in told if name)
    return f" (from {names})" if names else ""


def _run(config: NodeConfig, channel: Channel | None) -> int:
    # Imported only now, so that a wrong flag is reported before Pykka, ZeroMQ and LMDB are loaded.
    from actors.node import run_node  # noqa: PLC0415

    if channel is None:
        return run_node(config)
    from actors.launched import outside_under  # noqa: PLC0415

    return run_node(config, outside_under(channel))


def _parser(log_format: str) -> FlagParser:
    parser = FlagParser(
        PROGRAM,
        "One member of a Leasehold cluster. The flags are etcd's.",
        f"Each flag has environment variables: {PREFIXES[0]}DATA_DIR is --data-dir, and so is\n"
        f"etcd's {PREFIXES[1]}DATA_DIR, where neither that nor the flag is given.\n"
        f"`{PROGRAM} snapshot status|restore FILE` needs no node (see {PROGRAM} snapshot --help),\n"
        f"and neither does `{PROGRAM} key show|make|bootstrap` (see {PROGRAM} key --help).",
        log_format=log_format,
    )
    for field, default in NodeFlags._field_defaults.items():
        shown = f"{HELP[field]} (default {default})" if default else HELP[field]
        # As in Go, a flag that is true or false may stand alone.
        count, alone = ("?", "true") if default in {"true", "false"} else (None, None)
        name = f"--{field.replace('_', '-')}"
        parser.add_argument(name, metavar="VALUE", help=shown, nargs=count, const=alone)
    for flag in REFUSED:
        parser.add_argument(f"--{flag}", nargs="?", const="true", help=SUPPRESS)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    # The descriptor of a node's end of the channel to its launcher, which it inherits.
    parser.add_argument("--launcher-fd", type=int, help=SUPPRESS)
    return parser


def _print_version() -> None:
    python = ".".join(str(part) for part in sys.version_info[:3])
    sys.stdout.write(f"{PROGRAM} Version: {__version__}\nPython Version: {python}\n")


def _warn_of_unknown_variables(environment: Mapping[str, str]) -> None:
    fields = (*NodeFlags._fields, *(flag.replace("-", "_") for flag in REFUSED))
    known = {prefix + field.upper() for prefix in PREFIXES for field in fields}
    for variable in sorted(environment):
        if variable.startswith(PREFIXES) and variable not in known:
            log.warning("the environment variable %s stands for no flag", variable)


def _channel(descriptor: int | None, config: NodeConfig) -> Channel | None:
    """The channel to the launcher that has started this node, if one has."""
    if descriptor is None:
        return None
    try:
        channel = Channel(descriptor)
    except OSError as error:
        text = f"--launcher-fd={descriptor} is no channel to a launcher: {error.strerror}"
        fail(PROGRAM, text, name=config.name, log_format=config.log_format)
    channel.follow()
    return channel


if __name__ == "__main__":
    sys.exit(main())
