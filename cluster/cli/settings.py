"""The global options of leasectl, and the client that is made with them.

The options may stand before or after the command, as in etcdctl.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click

from cluster.cli.ending import (
    EXIT_BAD_ARGUMENTS,
    EXIT_BAD_CONNECTION,
    CommandError,
    failure,
    go_text,
)
from cluster.errors import LeaseholdError
from cluster.schemes import HTTPS
from cluster.tls.files import FLAGS, ClientFiles
from cluster.values import parse_bool, parse_duration, parse_int, parse_seconds

if TYPE_CHECKING:
    from cluster.cli.printers import Printer
    from cluster.client.api import Client
    from cluster.curve import KeyPair

    _IntType = click.ParamType[int]
    _FloatType = click.ParamType[float]
else:
    # Older releases of click have no type parameter here.
    _IntType = _FloatType = click.ParamType

ENVIRONMENT_PREFIXES: Final = ("LEASECTL_", "ETCDCTL_")
CREDENTIALS: Final = ("USER", "PASSWORD", "PASSWORD_FILE")


@dataclass
class CliSettings:
    """The values of the global options; the last one given wins, except that endpoints add up."""

    endpoints: list[str] = field(default_factory=list)
    write_out: str = "simple"
    hex: bool = False
    dial_timeout_seconds: float = 2.0
    command_timeout_seconds: float = 5.0
    cacert: str = ""
    cert: str = ""
    key: str = ""
    insecure_skip_tls_verify: bool = False
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    password_file: str = ""
    key_file: str = ""
    _credentials: tuple[str, str] | None = field(default=None, repr=False)

    def endpoint_list(self) -> list[str]:
        """Each endpoint, as it was written."""
        return list(self._parsed(self.endpoints or None))

    def plain_addresses(self, command: str) -> dict[str, str]:
        """The ZeroMQ address of each endpoint, by how it was written, for a command without TLS."""
        addresses = self._parsed(self.endpoints or None)
        for endpoint, address in addresses.items():
            if address.startswith(HTTPS):
                text = (
                    f"{command} does not speak TLS, as {endpoint} asks for: name tcp:// or http://"
                )
                raise CommandError(f"{text} endpoints", EXIT_BAD_CONNECTION)
        return addresses

    def connect(self, endpoints: Iterable[str] | None = None) -> Client:
        """A client for these endpoints, or for those of the options, logged in if there is a user.

        Without a user it connects on first use. A login that fails ends the command.
        """
        client = self.client(endpoints)
        try:
            client.log_in()
        except LeaseholdError as error:
            client.close()
            failure(error, EXIT_BAD_CONNECTION, go_text(error))
        return client

    def client(self, endpoints: Iterable[str] | None = None) -> Client:
        """The same, but it connects and logs in on first use."""
        from cluster.client.api import Client  # noqa: PLC0415 - `leasectl version` needs no sockets

        self._check_files()
        user, password = self.credentials() or (None, None)
        parsed = self._parsed(endpoints or self.endpoints or None)
        try:
            return Client(
                parsed,
                dial_timeout=self.dial_timeout_seconds,
                timeout=self.command_timeout_seconds,
                ca_cert=self.cacert,
                cert=self.cert,
                key=self.key,
                insecure_skip_verify=self.insecure_skip_tls_verify,
                user=user,
                password=password,
                key_file=self.key_file,
            )
        except ValueError as error:
            raise CommandError(str(error), EXIT_BAD_ARGUMENTS) from None

    def pair(self) -> KeyPair | None:
        """The own key, where endpoints name those of their nodes; None: there is none."""
        from cluster.client.identity import identity_for  # noqa: PLC0415

        addresses = self._parsed(self.endpoints or None)
        try:
            return identity_for(addresses, self._files, self.key_file, os.environ).pair
        except ValueError as error:
            raise CommandError(str(error), EXIT_BAD_ARGUMENTS) from None

    def credentials(self) -> tuple[str, str] | None:
        """The user and the password, which is asked for once if it is not given.

        None if one of the two is empty: as etcdctl, which then sends neither.
        """
        if self._credentials is None and self.user:
            self._credentials = self._asked_credentials()
        return self._credentials if self._credentials and all(self._credentials) else None

    def _asked_credentials(self) -> tuple[str, str]:
        from cluster.cli import passwords  # noqa: PLC0415 - only with a user

        if self.password_file:
            return self.user, passwords.from_file(self.password_file)
        if self.password:
            return self.user, self.password
        name, colon, password = self.user.partition(":")
        return (name, password) if colon else (self.user, passwords.ask("Password: "))

    def require_known_format(self) -> None:
        """Refuse an unknown format; for commands that print the same in every format."""
        from cluster.cli.formats import require_known_format  # noqa: PLC0415

        require_known_format(self.write_out)

    def printer(self, command: str) -> Printer:
        """The printer of a command's results, in the format asked for; CommandError if it has no
        form for the command."""
        from cluster.cli.formats import make_printer  # noqa: PLC0415

        return make_printer(self.write_out, self.hex, command)

    @property
    def _files(self) -> ClientFiles:
        return ClientFiles(self.cacert, self.cert, self.key, self.insecure_skip_tls_verify)

    def _check_files(self) -> None:
        """End the command if a file of TLS cannot be used; the error names its flag."""
        if not self._files.is_for_bare_endpoints:
            return
        from cluster.tls.asking import client_context  # noqa: PLC0415 - only with TLS

        try:
            client_context(self._files, FLAGS)
        except ValueError as error:
            raise CommandError(str(error), EXIT_BAD_ARGUMENTS) from None

    def _parsed(self, endpoints: Iterable[str] | None) -> dict[str, str]:
        from cluster.client.engine.endpoints import parse  # noqa: PLC0415
        from cluster.client.identity import cluster_file  # noqa: PLC0415

        tls = self._files.is_for_bare_endpoints
        try:
            return parse(endpoints, os.environ, tls=tls, known=cluster_file(os.environ))
        except ValueError as error:
            raise CommandError(str(error), EXIT_BAD_CONNECTION) from None


class GoInt(_IntType):
    """A 64-bit number with Go's error texts."""

    name = "int"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse the text of the option."""
        if isinstance(value, int):
            return value
        try:
            return parse_int(value)
        except ValueError as error:
            raise invalid_argument(value, param, error) from None


class GoSeconds(_FloatType):
    """Seconds above 0: a whole number as in etcd, or a decimal fraction."""

    name = "seconds"
    _none = "0"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse the text of the option."""
        if not isinstance(value, str):
            return float(value)
        try:
            seconds = self._parsed(value)
        except ValueError as error:
            raise invalid_argument(value, param, error) from None
        if seconds <= 0:
            too_little = ValueError(f"must be greater than {self._none}")
            raise invalid_argument(value, param, too_little)
        return seconds

    def _parsed(self, text: str) -> float:
        return parse_seconds(text)


class GoDuration(GoSeconds):
    """Seconds above 0, written as a Go duration."""

    name = "duration"
    _none = "0s"

    def _parsed(self, text: str) -> float:
        return parse_duration(text)


def invalid_argument(value: str, param: click.Parameter | None, error: ValueError) -> CommandError:
    """The error for an option with an unusable value."""
    flags = ", ".join(sorted(param.opts, key=len)) if param is not None else ""
    return CommandError(f'invalid argument "{value}" for "{flags}" flag: {error}')


def global_options() -> list[click.Option]:
    """New options that store their values in the CliSettings of the whole command line."""
    return [
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
            help="simple, json, fields or table  [default: simple]",
        ),
        _option(["--hex"], "hex", is_flag=True, help="Print keys and values as hex strings"),
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
        *_credential_options(),
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


def environment_settings(environment: dict[str, str]) -> CliSettings:
    """The settings in the environment; flags override them, and LEASECTL_ overrides ETCDCTL_."""
    settings = CliSettings()
    for prefix in reversed(ENVIRONMENT_PREFIXES):
        for name in ("WRITE_OUT", "CACERT", "CERT", "KEY", *CREDENTIALS):
            if text := environment.get(prefix + name):
                setattr(settings, name.lower(), text)
        if text := environment.get(prefix + "INSECURE_SKIP_TLS_VERIFY"):
            try:
                settings.insecure_skip_tls_verify = parse_bool(text)
            except ValueError as error:
                raise CommandError(f"{prefix}INSECURE_SKIP_TLS_VERIFY: {error}") from None
        for name in ("DIAL_TIMEOUT", "COMMAND_TIMEOUT"):
            if text := environment.get(prefix + name):
                try:
                    setattr(settings, f"{name.lower()}_seconds", parse_duration(text))
                except ValueError as error:
                    raise CommandError(f"{prefix}{name}: {error}") from None
    return settings


def _option(flags: list[str], field_name: str, **more: Any) -> click.Option:
    return click.Option(
        [*flags, f"_{field_name}"], expose_value=False, callback=_store(field_name), **more
    )


def _store(field_name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def store(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        settings: CliSettings = context.find_root().obj
        if field_name == "endpoints":
            settings.endpoints.extend(value or ())
        elif value:
            setattr(settings, field_name, value)

    return store
