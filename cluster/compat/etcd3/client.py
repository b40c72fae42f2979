"""The clients of python-etcd3, and the endpoints that they are made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from cluster.client.api import Client
from cluster.compat.etcd3.exceptions import exception_of, translated
from cluster.compat.etcd3.locks import LockCalls
from cluster.compat.etcd3.members import MemberCalls
from cluster.compat.etcd3.transactions import Transactions
from cluster.errors import LeaseholdError

TIMEOUT_SECONDS: Final = 5.0
"""How long a call may take if the program does not say; python-etcd3 waits without limit then."""

DIAL_SECONDS: Final = 5.0
DIAL_PART: Final = 0.9
"""Where nobody can be reached, a call ends after DIAL_SECONDS, or before its time is over: so it is
a ConnectionFailedError, and not a ConnectionTimeoutError."""

_Path = str | Path


class Credentials(NamedTuple):
    """The files of TLS for an endpoint, as `get_secure_creds` makes it."""

    ca_cert: str
    cert_key: str
    cert_cert: str


class Endpoint:
    """A place where a node is. `time_retry` and `opts` mean nothing here."""

    def __init__(
        self,
        host: str,
        port: int,
        secure: bool = True,
        creds: Credentials | None = None,
        time_retry: float = 300.0,
        opts: Any = None,
    ) -> None:
        if secure and not isinstance(creds, Credentials):
            raise ValueError("a secure endpoint needs creds, which client.get_secure_creds() makes")
        self.host = host
        self.port = port
        self.netloc = f"[{host}]:{port}" if ":" in host.strip("[]") else f"{host}:{port}"
        self.secure = secure
        self.protocol = "https" if secure else "http"
        self.credentials = creds if secure else None
        self.time_retry = time_retry

    def __str__(self) -> str:
        return f"Endpoint({self.protocol}://{self.netloc})"


class MultiEndpointEtcd3Client(LockCalls, MemberCalls):
    """A client of several endpoints; threads may share it.

    `timeout` limits each call, five seconds if it is None. With a `user` and the `password` it logs
    in at once. `failover` means nothing: a call is tried at all endpoints.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint] | None = None,
        timeout: float | None = None,
        user: str | None = None,
        password: str | None = None,
        failover: bool = False,
    ) -> None:
        known = {each.netloc: each for each in endpoints or ()}
        if not known:
            raise ValueError("a client needs an endpoint")
        kinds = {each.credentials for each in known.values()}
        if len(kinds) > 1:
            raise ValueError("the endpoints of a client must all have the same creds, or none")
        limit = TIMEOUT_SECONDS if timeout is None else timeout
        creds = kinds.pop() or Credentials("", "", "")
        super().__init__(
            Client(
                [f"{each.protocol}://{each.netloc}" for each in known.values()],
                dial_timeout=min(DIAL_SECONDS, DIAL_PART * limit),
                timeout=limit,
                ca_cert=creds.ca_cert,
                cert=creds.cert_cert,
                key=creds.cert_key,
                user=user,
                password=password,
            )
        )
        self.endpoints = known
        self.timeout = timeout
        self.failover = failover
        self.transactions = Transactions()
        self._log_in(user)

    @staticmethod
    def get_secure_creds(
        ca_cert: _Path, cert_key: _Path | None = None, cert_cert: _Path | None = None
    ) -> Credentials:
        """The files of TLS (paths of PEM) for a secure Endpoint."""
        return Credentials(str(ca_cert), str(cert_key or ""), str(cert_cert or ""))

    @translated
    def close(self) -> None:
        """End all watches, and close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _log_in(self, user: str | None) -> None:
        """A wrong password is to be known at once, as in python-etcd3."""
        if user is None:
            return
        try:
            self._client.log_in()
        except LeaseholdError as error:
            self._client.close()
            raise exception_of(error) from error


class Etcd3Client(MultiEndpointEtcd3Client):
    """A client of one endpoint; of the other members it learns by itself.

    With a `ca_cert` the connection is inside TLS; `cert_cert` and `cert_key`, which go together,
    show the node who the client is. `grpc_options` mean nothing.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 2379,
        ca_cert: _Path | None = None,
        cert_key: _Path | None = None,
        cert_cert: _Path | None = None,
        timeout: float | None = None,
        user: str | None = None,
        password: str | None = None,
        grpc_options: Any = None,
    ) -> None:
        if ca_cert is not None and (cert_key is None) != (cert_cert is None):
            raise ValueError("cert_key and cert_cert go together: give both of them, or neither")
        self.uses_secure_channel = ca_cert is not None
        creds = None
        if ca_cert is not None:
            creds = self.get_secure_creds(ca_cert, cert_key, cert_cert)
        endpoint = Endpoint(host, port, ca_cert is not None, creds, opts=grpc_options)
        super().__init__([endpoint], timeout, user, password)


def client(
    host: str = "localhost",
    port: int = 2379,
    ca_cert: _Path | None = None,
    cert_key: _Path | None = None,
    cert_cert: _Path | None = None,
    timeout: float | None = None,
    user: str | None = None,
    password: str | None = None,
    grpc_options: Any = None,
) -> Etcd3Client:
    """A client of one endpoint; the arguments are those of Etcd3Client."""
    return Etcd3Client(
        host, port, ca_cert, cert_key, cert_cert, timeout, user, password, grpc_options
    )
