"""A client that asks for new keys again and again: Python's ssl cannot, OpenSSL's library can.

`NO_LIBRARY` says why not, where Python has its OpenSSL inside.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import socket
from typing import Any, Final

UPDATE_REQUESTED: Final = 1
"""The other side is asked to change its keys too, and has to say so."""

_NAME: Final = ctypes.util.find_library("ssl")
NO_LIBRARY: Final = "" if _NAME else "there is no shared library of OpenSSL"


class Updater:
    """TLS 1.3 over a connected socket, which it never reads after the handshake."""

    def __init__(self, connected: socket.socket) -> None:
        library: Any = ctypes.CDLL(_NAME)
        for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
            getattr(library, name).restype = ctypes.c_void_p
        self._library = library
        context = ctypes.c_void_p(library.SSL_CTX_new(ctypes.c_void_p(library.TLS_client_method())))
        self._tls = ctypes.c_void_p(library.SSL_new(context))
        library.SSL_set_fd(self._tls, connected.fileno())
        if library.SSL_connect(self._tls) != 1:
            raise ConnectionError("no handshake")

    def say(self, data: bytes) -> None:
        """Send data."""
        self._library.SSL_write(self._tls, data, len(data))

    def update(self) -> bool:
        """Ask once; whether the request has left."""
        self._library.SSL_key_update(self._tls, UPDATE_REQUESTED)
        return bool(self._library.SSL_do_handshake(self._tls) == 1)
