"""The page's address: its port and its token, which is kept in the data directory.

A page that has lost its launcher finds the next one of the directory at the same address.
"""

from __future__ import annotations

import re
import secrets
import socket
from pathlib import Path
from typing import Final

from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.ports import LOOPBACK, WEB_PORT, holder_of
from cluster.private import create

WEB_PORT_TRIES: Final = 20
"""Where no port is asked for, it is the first free one of this many, from WEB_PORT on."""

TOKEN_FILE: Final = "web-token"
TOKEN_BYTES: Final = 16


def listen(port: int | None) -> socket.socket:
    """A socket that listens at this port, or at a free one near WEB_PORT. Raises LauncherError."""
    tried = range(WEB_PORT, WEB_PORT + WEB_PORT_TRIES) if port is None else [port]
    for number in tried:
        try:
            return socket.create_server((LOOPBACK, number))
        except OSError as error:
            reason = holder_of(number) or f": {error.strerror}"
        except OverflowError:
            raise LauncherError(f"--web {number}: a port is a number up to 65535") from None
    where = f"port {port} is taken" if port is not None else f"ports {WEB_PORT} and on are taken"
    raise LauncherError(f"--web: {where}{reason}")


def token_in(data_dir: Path) -> str:
    """The token of this data directory, made when there is none. Raises LauncherError."""
    path = data_dir / TOKEN_FILE
    try:
        if not path.exists():
            with create(path) as file:
                file.write(secrets.token_hex(TOKEN_BYTES).encode())
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LauncherError(f"--web: cannot use {path}: {error}") from None
    if not re.fullmatch(f"[0-9a-f]{{{2 * TOKEN_BYTES}}}", token):
        raise LauncherError(f"--web: {path} holds no token: delete it")
    return token
