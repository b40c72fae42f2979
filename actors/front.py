"""The front of a node: a process beside it that serves etcd's own clients (cluster/etcd).

It owns the sockets that both listen on, starts the front, starts it again when it ends, and ends it
with the node. The front is a program of its own: nothing of it is imported here. Refuses to know
what is spoken.
"""

from __future__ import annotations

import logging
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from actors.language.errors import StorageError
from actors.raft.disk.wal_reader import Identity
from actors.runtime.premises import bind_http
from cluster import __version__
from cluster.config import NodeConfig
from cluster.front_config import FrontConfig
from cluster.passages import PassageBook, open_pipe
from cluster.processes import import_environment, is_readable
from cluster.schemes import HTTP, HTTPS, LISTEN_BACKLOG, zeromq_url
from cluster.tls import self_signed
from cluster.tls.loading import TlsError
from cluster.tls.options import ServerTls
from cluster.tls.serving import complain, served

FRONT_COMMAND: Final = (sys.executable, "-P", "-m", "cluster.etcd")

FRONT_DOOR: Final = "tcp://127.0.0.1:*"
"""Where the front reaches the node: any free port. It is TCP, because the system counts the bytes
of a TCP connection, and the door's limits on clients rest on these counts."""

FRONT_QUICK_SECONDS: Final = 5.0
FRONT_PAUSE_SECONDS: Final = 1.0
"""A front that lived for less than FRONT_QUICK_SECONDS is started again after this pause."""

SECRET_BYTES: Final = 32

FRONT_STOP_SECONDS: Final = 3.0
"""How long a front may take to end when the node stops; then it is killed."""

log = logging.getLogger("leasehold")


def front_of(config: NodeConfig) -> FrontProcess | None:
    """The front of a node; None if no URL is for it.

    Raises StorageError if a URL is taken, or if certificates are missing or cannot be used.
    """
    urls = (*config.front_urls, *config.listen_metrics_urls)
    tls = config.tls
    if tls is not None and any(url.startswith(HTTPS) for url in urls):
        try:
            if tls.self_signed_years:
                self_signed.ensure(tls)
            complain(tls, served(tls))
        except TlsError as error:
            raise StorageError(str(error)) from None
    if tls is not None:
        _warn_of_plain_urls(tls, urls)
    return FrontProcess(config) if urls else None


def _warn_of_plain_urls(tls: ServerTls, urls: Sequence[str]) -> None:
    """Say, as etcd does, that a URL is not secured by the certificates that were given."""
    for url in urls:
        if url.startswith(HTTP):
            log.warning(
                "scheme is HTTP while key and cert files are present; ignoring key and cert files:"
                " %s",
                url,
            )
            if tls.client_cert_auth:
                log.warning(
                    "scheme is HTTP while --client-cert-auth is enabled; ignoring client cert auth"
                    " for this URL: %s",
                    url,
                )


class _Bound:
    """Sockets bound to URLs; one for both where the same port is http and https."""

    def __init__(self, urls: Sequence[str]) -> None:
        by_place = {zeromq_url(url): url for url in urls}
        bound = dict(zip(by_place, bind_http(tuple(by_place.values())), strict=True))
        self.sockets = tuple(bound.values())
        self.tls = self._of(HTTPS, urls, bound)
        self.plain = self._of(HTTP, urls, bound)

    @staticmethod
    def _of(scheme: str, urls: Sequence[str], bound: dict[str, socket.socket]) -> tuple[int, ...]:
        """The descriptors of the sockets where this scheme is spoken."""
        return tuple(bound[zeromq_url(url)].fileno() for url in urls if url.startswith(scheme))

    @property
    def numbers(self) -> tuple[int, ...]:
        """The descriptors of all of them."""
        return tuple(each.fileno() for each in self.sockets)


class FrontProcess:
    """The front of one node: bound when it is made, started by `start`, and serving from `serve`.

    Raises StorageError when a URL cannot be bound.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        # Shows that a request with the name of a certificate comes from this front.
        self.secret = secrets.token_bytes(SECRET_BYTES)
        self._clients = _Bound(config.front_urls)
        self._metrics = _Bound(config.listen_metrics_urls)
        self._sockets = (*self._clients.sockets, *self._metrics.sockets)
        # Nobody writes into this pipe: it ends when the node ends, in whatever way.
        self._life, self._alive = os.pipe2(os.O_CLOEXEC)
        # A file without a name, for the lock of the process that serves.
        self._turn = os.memfd_create("front", os.MFD_CLOEXEC)
        self.passages: PassageBook | None = None
        self._telling = -1
        if config.audit is not None:
            told, self._telling = open_pipe()
            self.passages = PassageBook(told)
        self._stopping = os.eventfd(0, os.EFD_CLOEXEC)
        self._done = os.eventfd(0, os.EFD_CLOEXEC)
        self._process: subprocess.Popen[bytes] | None = None
        self._line = b""
        self._lock = threading.Lock()
        self._keeping = threading.Thread(target=self._keep, name="front", daemon=True)

    def start(self) -> None:
        """Start the front's process, which loads what it needs meanwhile, and watch it."""
        with self._lock:
            self._process = self._spawn()
            self._tell(self._process)
        self._keeping.start()

    def serve(
        self, identity: Identity, own_port: int, passing_port: int, password: str = ""
    ) -> None:
        """Listen, and have the front serve this node; call it when the node's door is open.

        The front speaks at `own_port`, with the password if there is one, and passes the bytes of
        ZeroMQ's clients on to `passing_port`.
        """
        for listening in self._sockets:
            listening.listen(LISTEN_BACKLOG)
        config = FrontConfig(
            cluster_id=identity.cluster_id,
            member_id=identity.member_id,
            own_port=own_port,
            passing_port=passing_port,
            password=password,
            request_bytes_max=self._config.max_request_bytes,
            node_pid=os.getpid(),
            version=__version__,
            cors=self._config.cors,
            log_level=log.getEffectiveLevel(),
            log_format=self._config.log_format,
            name=self._config.name,
            listening=self._clients.numbers,
            listening_metrics=self._metrics.numbers,
            listening_tls=(*self._clients.tls, *self._metrics.tls),
            listening_plain=(*self._clients.plain, *self._metrics.plain),
            tls=self._config.tls if self._clients.tls or self._metrics.tls else None,
            secret=self.secret.hex(),
            passages=self._telling,
            life=self._life,
            turn=self._turn,
            done=self._done,
        )
        with self._lock:
            self._line = config.to_line()
            self._tell(self._process)

    def drain(self) -> None:
        """Listen no more, and have the front answer its calls; return when it has.

        What it passes on to the node goes on until the node closes these connections itself.
        """
        os.eventfd_write(self._stopping, 1)
        is_readable(self._done, FRONT_STOP_SECONDS)

    def stop(self) -> None:
        """End the front; call it after `drain`, when the node has closed its door."""
        self._keeping.join(2 * FRONT_STOP_SECONDS)
        # Whatever of the front is left ends with this.
        os.close(self._alive)
        for listening in self._sockets:
            listening.close()

    # --- inside ---

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            FRONT_COMMAND,
            stdin=subprocess.PIPE,
            env=import_environment(),
            pass_fds=(
                *(each.fileno() for each in self._sockets),
                self._life,
                self._turn,
                self._done,
                *([self._telling] if self.passages is not None else ()),
            ),
            # A session of its own: the terminal's Ctrl-C is for the node, which then ends it.
            start_new_session=True,
        )

    def _tell(self, process: subprocess.Popen[bytes] | None) -> None:
        """Tell a front what to serve, if it runs and that is known."""
        if process is not None and process.stdin is not None and self._line:
            try:
                process.stdin.write(self._line)
                process.stdin.close()
            except BrokenPipeError:
                return  # it has ended: the thread below starts the next one

    def _keep(self) -> None:
        """Start the front again whenever it ends, until `drain`."""
        self._keep_going()
        os.eventfd_write(self._done, 1)  # nothing of it is under way any more

    def _keep_going(self) -> None:
        while self._process is not None:
            began = time.monotonic()
            if self._has_stopped(self._process):
                return
            ending = self._process.returncode
            log.warning("the front's process ended with status %d: starting it again", ending)
            if time.monotonic() - began < FRONT_QUICK_SECONDS and is_readable(
                self._stopping, FRONT_PAUSE_SECONDS
            ):
                return
            with self._lock:
                self._process = self._spawn()
                self._tell(self._process)

    def _has_stopped(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until the front ends by itself (False), or is to end, and then end it (True)."""
        ended = os.pidfd_open(process.pid)
        poller = select.poll()
        poller.register(ended, select.POLLIN)
        poller.register(self._stopping, select.POLLIN)
        ready = dict(poller.poll())
        if self._stopping in ready:
            process.send_signal(signal.SIGTERM)
            # Both halves, which have a session of their own: a paused one could not end.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
            poller.unregister(self._stopping)
            if not poller.poll(FRONT_STOP_SECONDS * 1_000):
                log.warning("the front did not stop within %g s: killing it", FRONT_STOP_SECONDS)
                process.kill()
        process.wait()
        os.close(ended)
        return self._stopping in ready
