"""The certificates that a front serves at present, read again when their files change.

The files are looked at before each handshake, as in etcd, and every few seconds. A set of files
that cannot be used changes nothing: the front goes on with what it has, and says so. A certificate
that the node signed by itself is made anew before its end. Refuses to know who connects.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from cluster.tls import self_signed
from cluster.tls.loading import TlsError
from cluster.tls.options import ServerTls
from cluster.tls.serving import ServerCredentials, complain, served
from cluster.values import DAY_SECONDS

LOOK_SECONDS: Final = 5.0
"""The time between two looks at the files when nobody connects."""

RENEW_AGAIN_SECONDS: Final = 3_600.0
"""The time until the next try to make a certificate when one has failed."""

_Signature = tuple[tuple[int, ...], ...]

log = logging.getLogger("leasehold.front")


class Credentials:
    """What is served, if anything can be; `tend` looks after it from then on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tls: ServerTls) -> None:
        self._loop = loop
        self._tls = tls
        self._signature: _Signature = ()
        self._served: ServerCredentials | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._complained_at = loop.time()
        self._look()

    def current(self) -> ssl.SSLContext | None:
        """The context for a new connection; None while no file can be used."""
        self._look()
        return None if self._served is None else self._served.context

    def tend(self) -> None:
        """Look at the files now and then, and renew what is the node's own."""
        self._look()
        good, now = self._served, self._loop.time()
        if self._tls.self_signed_years and (good is None or self_signed.is_due(good, self._tls)):
            if self._renewing is None:
                self._renewing = self._loop.create_task(self._renew())
        elif good is not None and now - self._complained_at >= DAY_SECONDS:
            self._complained_at = now
            complain(self._tls, good)
        self._timer = self._loop.call_later(LOOK_SECONDS, self.tend)

    def close(self) -> None:
        """Look after it no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._renewing is not None:
            self._renewing.cancel()

    def _look(self) -> None:
        signature = _signature_of(self._tls)
        if signature == self._signature:
            return
        is_first, self._signature = not self._signature, signature
        try:
            self._served = served(self._tls)
        except TlsError as error:
            goes_on = "goes on with the certificates it has" if self._served else "serves no TLS"
            log.error("the front %s: %s", goes_on, error)
            return
        if not is_first:
            log.info("the front serves the certificates of files that have changed")
            complain(self._tls, self._served)

    async def _renew(self) -> None:
        try:
            await self._loop.run_in_executor(None, self_signed.make, self._tls)
        except TlsError as error:
            log.error("no other certificate is made: %s", error)
            await asyncio.sleep(RENEW_AGAIN_SECONDS)
        finally:
            self._renewing = None
        self._look()


def _signature_of(tls: ServerTls) -> _Signature:
    """What changes when a file changes, also by a link to another one."""
    paths = (tls.cert_file, tls.key_file, tls.trusted_ca_file)
    return tuple(_signature_of_file(path) for path in paths if path)


def _signature_of_file(path: str) -> tuple[int, ...]:
    try:
        found = Path(path).stat()
    except OSError as error:
        return (error.errno or 0,)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
