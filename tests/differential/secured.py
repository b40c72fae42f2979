"""An etcd, or a node, that is started with flags of TLS; and a client that says what it got.

Both are given the same flags and certificates. Refuses to know which answers are right.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from cluster.launcher.ports import LOOPBACK, PortClaims
from cluster.processes import import_environment
from tests.certificates import Authority, Pair
from tests.differential.sides import memory_directory
from tests.etcd.sides import halves_of
from tests.limits import HANG_SECONDS

RETRY_SECONDS: Final = 0.02

LEASEHOLD: Final = (sys.executable, "-P", "-m", "actors")

_REJECTED: Final = re.compile(
    r"rejected connection.*?(?:\"error\":\"|127\.0\.0\.1:\d+: )([^\"\n]+)"
)


class TlsClient(NamedTuple):
    """How a client connects: without TLS, or trusting an authority, perhaps with a certificate."""

    trusts: Authority | None
    pair: Pair | None = None
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3

    def context(self) -> ssl.SSLContext | None:
        """Its context; None: it speaks without TLS."""
        if self.trusts is None:
            return None
        context = ssl.create_default_context(cafile=str(self.trusts.cert))
        with warnings.catch_warnings(action="ignore"):  # it is old, and meant to be
            context.minimum_version = min(ssl.TLSVersion.TLSv1_2, self.highest)
            context.maximum_version = self.highest
        if self.highest < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        if self.pair is not None:
            context.load_cert_chain(self.pair.cert, self.pair.key)
        return context


class Secured:
    """One process with a URL of each scheme in `schemes`, all on one port."""

    def __init__(
        self, command: Sequence[str], schemes: Sequence[str], flags: Sequence[str]
    ) -> None:
        self._data = Path(tempfile.mkdtemp(prefix="secured-", dir=memory_directory()))
        self._claims = PortClaims()
        (ports,) = self._claims.claim_free(1)
        self.port = ports.client
        self._log = self._data / "log"
        client = ",".join(f"{scheme}://{LOOPBACK}:{ports.client}" for scheme in schemes)
        peer = f"http://{LOOPBACK}:{ports.peer}"
        arguments = {
            "data-dir": self._data / "data",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *(f"--{name}={value}" for name, value in arguments.items()), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=import_environment(),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._claims.release()
        shutil.rmtree(self._data, ignore_errors=True)

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self._data / "data"

    def wait_until_it_answers(self, client: TlsClient) -> None:
        """Wait until it is healthy for this client."""
        deadline = time.monotonic() + HANG_SECONDS
        while self.health(client) != "200":
            assert time.monotonic() < deadline, self.log
            try:
                self._process.wait(RETRY_SECONDS)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(self.log)

    def ended(self) -> bool:
        """Whether it ends by itself, with an error; waits for that."""
        return self._process.wait(HANG_SECONDS) != 0

    def stop(self) -> int:
        """Stop it as an operator does; its exit status."""
        self._process.terminate()
        return self._process.wait(HANG_SECONDS)

    def kill_front(self) -> None:
        """Kill both halves of a node's front."""
        for half in halves_of(self._process.pid):
            os.kill(half, signal.SIGKILL)

    def health(self, client: TlsClient) -> str:
        """The status that /health has for a client, or `refused`."""
        context = client.context()
        try:
            with socket.create_connection((LOOPBACK, self.port), HANG_SECONDS) as bare:
                speaking = (
                    bare
                    if context is None
                    else context.wrap_socket(bare, server_hostname="localhost")
                )
                speaking.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                answer = speaking.recv(4_096)
        except OSError:
            return "refused"
        return answer.split()[1].decode() if answer.startswith(b"HTTP/1.1 ") else "refused"

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text(encoding="utf-8")

    @property
    def rejections(self) -> list[str]:
        """Why it has rejected connections, each reason once."""
        return sorted(set(_REJECTED.findall(self.log)))

    def has_rejected(self, reason: str) -> bool:
        """Whether it has rejected a connection for this reason, or the beginning of it.

        Waits for that: a client may hear of its end before the log has the line.
        """
        deadline = time.monotonic() + HANG_SECONDS
        while not any(reason.startswith(own) for own in self.rejections):
            if time.monotonic() >= deadline:
                return False
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(RETRY_SECONDS)
        return True
