"""The settings of a whole command line, and the client that is made with them.

`global_flags` has the flags and variables that set them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from cluster.cli.ending import (
    EXIT_BAD_ARGUMENTS,
    EXIT_BAD_CONNECTION,
    CommandError,
    failure,
    go_text,
)
from cluster.errors import LeaseholdError
from cluster.tls.files import FLAGS, ClientFiles
from cluster.values import parse_duration, parse_int, parse_seconds

if TYPE_CHECKING:
    from cluster.cli.printers import Printer
    from cluster.client.api import Client
    from cluster.client.identity import ClientIdentity
    from cluster.client.threads.key_client import BytesKeyClient

    _IntType = click.ParamType[int]
    _FloatType = click.ParamType[float]
else:
    # Older releases of click have no type parameter here.
    _IntType = _FloatType = click.ParamType

Made = TypeVar("Made")
AnyClient = TypeVar("AnyClient", bound="BytesKeyClient")

ENVIRONMENT_PREFIXES: Final = ("LEASECTL_", "ETCDCTL_")


@dataclass
class CliSettings:
    """The values of the global options; the last one given wins, except that endpoints add up."""

    endpoints: list[str] = field(default_factory=list)
    write_out: str = "simple"
    hex: bool = False
    debug: bool = False
    dial_timeout_seconds: float = 2.0
    command_timeout_seconds: float = 5.0
    keepalive_time_seconds: float = 2.0
    keepalive_timeout_seconds: float = 6.0
    cacert: str = ""
    cert: str = ""
    key: str = ""
    insecure_skip_tls_verify: bool = False
    insecure_transport: bool = True
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    password_file: str = ""
    key_file: str = ""
    _credentials: tuple[str, str] | None = field(default=None, repr=False)
    _is_log_shown: bool = field(default=False, repr=False)
    _shared: tuple[Client, tuple[object, ...]] | None = field(default=None, repr=False)

    def endpoint_list(self) -> list[str]:
        """Each endpoint, as it was written."""
        return list(self._parsed(self.endpoints or None))

    def addresses(self) -> dict[str, str]:
        """The address of each endpoint, by how it was written: ZeroMQ's, or with https."""
        return self._parsed(self.endpoints or None)

    def connect(self, endpoints: Iterable[str] | None = None) -> AbstractContextManager[Client]:
        """A client for these endpoints, or for those of the options, logged in if there is a user.

        Without a user it connects on first use. A login that fails ends the command. A client that
        is shared serves where nothing else is asked for.
        """
        if endpoints is None and (shared := self._shared_client()) is not None:
            return nullcontext(shared)
        return self._logged_in(self.client(endpoints))

    def connect_for_keys(self) -> AbstractContextManager[BytesKeyClient]:
        """The same for a command that needs the operations on keys alone: that loads faster."""
        if (shared := self._shared_client()) is not None:
            return nullcontext(shared)
        from cluster.client.threads.key_client import KeyClient, KeyTwin  # noqa: PLC0415

        return self._logged_in(KeyClient(self._made(KeyTwin[bytes], None)))

    def _logged_in(self, client: AnyClient) -> AnyClient:
        try:
            client.log_in()
        except LeaseholdError as error:
            client.close()
            failure(error, EXIT_BAD_CONNECTION, go_text(error))
        return client

    def _shared_client(self) -> Client | None:
        if self._shared is None or self._shared[1] != self._way:
            return None
        return self._shared[0]

    def share(self, client: Client) -> None:
        """Have these settings, and copies that lead to the same place, use this client."""
        self._shared = client, self._way

    def be_brief(self, seconds: float) -> None:
        """Wait no longer than this; a client that is shared is connected already."""
        if self._shared is None:
            self.dial_timeout_seconds = self.command_timeout_seconds = seconds

    @property
    def _way(self) -> tuple[object, ...]:
        """All that a client depends on."""
        waits = self.dial_timeout_seconds, self.command_timeout_seconds
        beats = self.keepalive_time_seconds, self.keepalive_timeout_seconds
        who = self.user, self.password, self.password_file, self.key_file
        return (tuple(self.endpoints), self.insecure_transport, *self._files, *waits, *beats, *who)

    def client(self, endpoints: Iterable[str] | None = None) -> Client:
        """The same, but it connects and logs in on first use."""
        from cluster.client.api import Client  # noqa: PLC0415 - `leasectl version` needs no sockets

        return self._made(Client, endpoints)

    def _made(self, make: Callable[..., Made], endpoints: Iterable[str] | None) -> Made:
        """What is made with the arguments of a client; a wrong one ends the command."""
        self._check_files()
        self._show_log()
        user, password = self.credentials() or (None, None)
        parsed = self._parsed(endpoints or self.endpoints or None)
        try:
            return make(
                parsed,
                dial_timeout=self.dial_timeout_seconds,
                timeout=self.command_timeout_seconds,
                keepalive_time=self.keepalive_time_seconds,
                keepalive_timeout=self.keepalive_timeout_seconds,
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

    def identity(self) -> ClientIdentity:
        """What is shown to the nodes: a certificate inside TLS, and the own key, if there are."""
        from cluster.client.identity import identity_for  # noqa: PLC0415

        self._check_files()
        try:
            return identity_for(self.addresses(), self._files, self.key_file, os.environ)
        except ValueError as error:
            raise CommandError(str(error), EXIT_BAD_ARGUMENTS) from None

    def credentials(self) -> tuple[str, str] | None:
        """The user and the password, which is asked for once if it is not given.

        None if one of the two is empty: as etcdctl, which then sends neither.
        """
        if self._credentials is None and self.user:
            self._credentials = self._asked_credentials()
        return self._credentials if self._credentials and all(self._credentials) else None

    @property
    def asks_for_password(self) -> bool:
        """Whether a person would have to type a password."""
        given = self.password_file or self.password or ":" in self.user or self._credentials
        return bool(self.user) and not given

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

    def _show_log(self) -> None:
        """Write the log of the command's clients to stderr; each warning once for all of them."""
        from cluster.cli.client_log import show  # noqa: PLC0415 - it is the client's log

        if not self._is_log_shown:
            self._is_log_shown = True
            show(self.debug)

    def _parsed(self, endpoints: Iterable[str] | None) -> dict[str, str]:
        from cluster.client.engine.endpoints import parse  # noqa: PLC0415
        from cluster.client.identity import cluster_file  # noqa: PLC0415

        tls = self._files.is_for_bare_endpoints or not self.insecure_transport
        try:
            parsed = parse(endpoints, os.environ, tls=tls, known=cluster_file(os.environ))
        except ValueError as error:
            raise CommandError(str(error), EXIT_BAD_CONNECTION) from None
        # The client knows its files, but not the flag: it must read the scheme in the endpoint.
        return parsed if self.insecure_transport else {each: each for each in parsed.values()}


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
