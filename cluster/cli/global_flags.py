"""The global flags of leasectl and their variables: what each sets, or why it is refused.

Each global flag of etcdctl is here. The flags may stand before or after the command, as in etcdctl.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

import click

from cluster.cli.ending import EXIT_BAD_FEATURE, CommandError
from cluster.cli.settings import ENVIRONMENT_PREFIXES, CliSettings, GoDuration
from cluster.values import parse_bool, parse_duration

API: Final = "3"
API_VARIABLE: Final = "ETCDCTL_API"
"""etcdctl's variable for the version of etcd's API."""


class Variable(NamedTuple):
    """The setting that a variable sets, and how its text is read."""

    setting: str
    read: Callable[[str], Any]


def _text(text: str) -> str:
    return text


VARIABLES: Final = {
    "WRITE_OUT": Variable("write_out", _text),
    "HEX": Variable("hex", parse_bool),
    "DEBUG": Variable("debug", parse_bool),
    "DIAL_TIMEOUT": Variable("dial_timeout_seconds", parse_duration),
    "COMMAND_TIMEOUT": Variable("command_timeout_seconds", parse_duration),
    "KEEPALIVE_TIME": Variable("keepalive_time_seconds", parse_duration),
    "KEEPALIVE_TIMEOUT": Variable("keepalive_timeout_seconds", parse_duration),
    "CACERT": Variable("cacert", _text),
    "CERT": Variable("cert", _text),
    "KEY": Variable("key", _text),
    "INSECURE_SKIP_TLS_VERIFY": Variable("insecure_skip_tls_verify", parse_bool),
    "INSECURE_TRANSPORT": Variable("insecure_transport", parse_bool),
    "USER": Variable("user", _text),
    "PASSWORD": Variable("password", _text),
    "PASSWORD_FILE": Variable("password_file", _text),
}
"""The variables by their names behind LEASECTL_ or ETCDCTL_. The client itself reads those of the
endpoints, of its key file and of the cluster file; `watch` reads its own."""

_NO_DISCOVERY: Final = "name the endpoints with --endpoints"

REFUSED: Final = {
    "discovery-srv": _NO_DISCOVERY,
    "discovery-srv-name": _NO_DISCOVERY,
    "insecure-discovery": _NO_DISCOVERY,
}
"""Flags of etcdctl that leasectl does not have, and what stands for them."""


def environment_settings(environment: Mapping[str, str]) -> CliSettings:
    """The settings in the environment; flags override them, and LEASECTL_ overrides ETCDCTL_."""
    settings = CliSettings()
    api = environment.get(API_VARIABLE, API)
    if api != API:
        raise CommandError(f"unsupported API version: {api}")
    for prefix in reversed(ENVIRONMENT_PREFIXES):
        for flag, instead in REFUSED.items():
            name = prefix + flag.upper().replace("-", "_")
            if environment.get(name):
                raise _refusal(name, instead)
        for name, (setting, read) in VARIABLES.items():
            if text := environment.get(prefix + name):
                try:
                    setattr(settings, setting, read(text))
                except ValueError as error:
                    raise CommandError(f"{prefix}{name}: {error}") from None
    return settings


@cache
def global_options() -> tuple[click.Option, ...]:
    """The options that store their values in the CliSettings of the whole command line."""
    return (
        _option(
            ["--endpoints"],
            "endpoints",
            multiple=True,
            metavar="HOST:PORT[#KEY],...",
            help="Where the cluster is, perhaps with the nodes' keys  "
            "[default: $LEASECTL_ENDPOINTS, the file $LEASECTL_CLUSTER_FILE, or 127.0.0.1:2379]",
        ),
        _option(
            ["-w", "--write-out"],
            "write_out",
            metavar="FORMAT",
            help="simple, json, jsonl, fields, table or protobuf  [default: simple]",
        ),
        _option(["--hex"], "hex", is_flag=True, help="Print keys and values as hex strings"),
        _option(["--debug"], "debug", is_flag=True, help="Write the client's log to stderr"),
        _option(
            ["--dial-timeout"],
            "dial_timeout_seconds",
            type=GoDuration(),
            help="How long to wait for a connection  [default: 2s]",
        ),
        _option(
            ["--command-timeout"],
            "command_timeout_seconds",
            type=GoDuration(),
            help="How long to wait for an answer  [default: 5s]",
        ),
        _option(
            ["--keepalive-time"],
            "keepalive_time_seconds",
            type=GoDuration(),
            help="How often to ask a node for a sign of life  [default: 2s]",
        ),
        _option(
            ["--keepalive-timeout"],
            "keepalive_timeout_seconds",
            type=GoDuration(),
            help="How long to wait for one before the connection is closed  [default: 6s]",
        ),
        *_tls_options(),
        *_credential_options(),
        *_refused_options(),
    )


def _tls_options() -> list[click.Option]:
    return [
        _option(
            ["--cacert"],
            "cacert",
            metavar="FILE",
            help="The authority of the nodes' certificates, in PEM",
        ),
        _option(["--cert"], "cert", metavar="FILE", help="Your own certificate, in PEM"),
        _option(["--key"], "key", metavar="FILE", help="The key of your certificate, in PEM"),
        _option(
            ["--insecure-skip-tls-verify"],
            "insecure_skip_tls_verify",
            is_flag=True,
            help="Believe any certificate of a node",
        ),
        _option(
            ["--insecure-transport/--no-insecure-transport"],
            "insecure_transport",
            default=None,
            help="With =false, endpoints without a scheme are inside TLS  [default: true]",
        ),
    ]


def _credential_options() -> list[click.Option]:
    return [
        _option(
            ["--user"],
            "user",
            metavar="NAME[:PASSWORD]",
            help="Who asks; asks for a password that is not given  [default: $LEASECTL_USER]",
        ),
        _option(
            ["--password"],
            "password",
            metavar="PASSWORD",
            help="The user's password, which others may see in the list of processes",
        ),
        _option(
            ["--password-file"],
            "password_file",
            metavar="FILE",
            help="The file whose first line is the user's password",
        ),
        _option(
            ["--key-file"],
            "key_file",
            metavar="FILE",
            help="Your own key for nodes with keys (leasectl keys init)  "
            "[default: $LEASECTL_KEY_FILE]",
        ),
    ]


def _refused_options() -> list[click.Option]:
    """They are not in the help: who names one learns what to use instead."""
    shorts = {"discovery-srv": ["-d"]}
    return [
        click.Option(
            [*shorts.get(flag, ()), f"--{flag}", f"_{flag.replace('-', '_')}"],
            expose_value=False,
            hidden=True,
            # With a value or without, it is refused.
            is_flag=False,
            flag_value="",
            callback=_refuse(instead),
        )
        for flag, instead in REFUSED.items()
    ]


def _option(flags: list[str], setting: str, **more: Any) -> click.Option:
    return click.Option(
        [*flags, f"_{setting}"], expose_value=False, callback=_store(setting), **more
    )


def _store(setting: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        settings: CliSettings = context.find_root().obj
        if setting == "endpoints":
            settings.endpoints.extend(value or ())
        elif value or (value is False and parameter.secondary_opts):
            setattr(settings, setting, value)

    return store


def _refuse(instead: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def refuse(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value is not None:
            raise _refusal(max(parameter.opts, key=len), instead)

    return refuse


def _refusal(name: str, instead: str) -> CommandError:
    return CommandError(f"{name} is not supported: {instead}", EXIT_BAD_FEATURE)
