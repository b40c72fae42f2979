"""What a client shows the nodes, and what it believes of them: certificates, or a pair of keys.

It reads the client's files. Refuses to know sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from cluster.schemes import HTTPS
from cluster.tls.files import ARGUMENTS, ClientFiles

if TYPE_CHECKING:
    from ssl import SSLContext

    from cluster.curve import KeyPair

KEY_FILE_VARIABLE: Final = "LEASECTL_KEY_FILE"
CLUSTER_FILE_VARIABLE: Final = "LEASECTL_CLUSTER_FILE"

CLUSTER_FILE_BYTES_MAX: Final = 64 * 1024


class ClientIdentity(NamedTuple):
    """`tls` is for addresses with https, `pair` for those with the key of a node.

    Without a pair, the client makes one that nobody knows: its requests are sealed, and nobody's.
    """

    tls: SSLContext | None = None
    pair: KeyPair | None = None


NO_IDENTITY: Final = ClientIdentity()


def identity_for(
    addresses: Mapping[str, str], files: ClientFiles, key_file: str, environment: Mapping[str, str]
) -> ClientIdentity:
    """What is needed for these addresses. Raises ValueError for a file that cannot be used."""
    tls = pair = None
    if any(each.startswith(HTTPS) for each in addresses.values()):
        from cluster.tls.asking import client_context  # noqa: PLC0415 - only with TLS

        tls = client_context(files, ARGUMENTS)
    has_pins = any("#" in each for each in addresses.values())
    if key_file and not has_pins:
        raise ValueError(
            f"there is a key file ({key_file}), and no endpoint names the key of its node: write "
            "HOST:PORT#KEY"
        )
    path = key_file or environment.get(KEY_FILE_VARIABLE, "")
    if path and has_pins:
        from pathlib import Path  # noqa: PLC0415 - only with keys

        from cluster.key_files import CLIENT, read  # noqa: PLC0415

        try:
            pair = read(Path(path), CLIENT).pair
        except OSError as error:
            raise ValueError(f"the key file {path}: {error.strerror}") from None
    return ClientIdentity(tls, pair)


def cluster_file(environment: Mapping[str, str]) -> list[str]:
    """The endpoints in the cluster file: one a line, as HOST:PORT#KEY. ValueError names the file.

    Lines that begin with `#` are for people.
    """
    path = environment.get(CLUSTER_FILE_VARIABLE, "")
    if not path:
        return []
    from pathlib import Path  # noqa: PLC0415 - only with such a file

    try:
        with Path(path).open(encoding="utf-8") as file:
            lines = file.read(CLUSTER_FILE_BYTES_MAX).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{CLUSTER_FILE_VARIABLE}={path}: {error}") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
