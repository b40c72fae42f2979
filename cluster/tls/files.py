"""The files of a client that speaks TLS, as they were given. It reads none of them."""

from __future__ import annotations

from typing import Final, NamedTuple


class ClientFiles(NamedTuple):
    """Paths; an empty one is not given."""

    ca_cert: str = ""
    cert: str = ""
    key: str = ""
    insecure_skip_verify: bool = False

    @property
    def is_for_bare_endpoints(self) -> bool:
        """Whether endpoints without a scheme are inside TLS: as in etcd's clients, files say so."""
        return bool(self.ca_cert or self.cert or self.key)


class FileNames(NamedTuple):
    """What the files are called where they are given: arguments, or flags."""

    ca_cert: str
    cert: str
    key: str


ARGUMENTS: Final = FileNames("ca_cert", "cert", "key")
FLAGS: Final = FileNames("--cacert", "--cert", "--key")
