"""Files of certificates and keys: they are read into a context of TLS, or it is said what is wrong.

An error is one line that names the flag and the file. Servers and clients load with these
functions. Refuses to know who connects.
"""

from __future__ import annotations

import re
import ssl
import stat
from pathlib import Path
from typing import Final

_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)
_ENCRYPTED: Final = re.compile(r"BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED")
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")

_FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""A larger file is none of certificates: all authorities of the web take a quarter of a MiB."""


class TlsError(ValueError):
    """Certificates or keys that cannot be used; one line, which names the flag and the file."""


def load_pair(context: ssl.SSLContext, flags: tuple[str, str], cert: str, key: str) -> str:
    """Load a certificate and its key; returns the certificate's PEM. `flags` name the two files."""
    chain = read(flags[0], cert)
    found = _CERTIFICATE.search(chain)
    if found is None:
        raise TlsError(f"{flags[0]}={cert}: there is no certificate in PEM in it")
    text = read(flags[1], key)
    if _ENCRYPTED.search(text):
        raise TlsError(f"{flags[1]}={key}: the key is encrypted: decrypt it, for nobody is asked")
    if not _PRIVATE_KEY.search(text):
        raise TlsError(f"{flags[1]}={key}: there is no private key in PEM in it")
    try:
        context.load_cert_chain(cert, key, password="")
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            text = f"private key does not match the certificate of {flags[0]}={cert}"
            raise TlsError(f"{flags[1]}={key}: {text}") from None
        raise TlsError(f"{flags[0]}={cert}, {flags[1]}={key}: {said(error)}") from None
    except OSError as error:  # it was there a moment ago
        raise TlsError(f"{flags[0]}={cert}, {flags[1]}={key}: {error.strerror}") from None
    return found[0]


def load_authorities(context: ssl.SSLContext, flag: str, path: str) -> None:
    """Trust the certificates of a file, and those that they have signed."""
    certificates = _CERTIFICATE.findall(read(flag, path))
    if not certificates:
        raise TlsError(f"{flag}={path}: there is no certificate in PEM in it")
    try:
        context.load_verify_locations(cadata="\n".join(certificates))
    except ssl.SSLError as error:
        raise TlsError(f"{flag}={path}: {said(error)}") from None
    # As in Go, a certificate that is no authority may be trusted for itself.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def read(flag: str, path: str) -> str:
    """The text of a file."""
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise TlsError(f"{flag}={path}: it is no file")
        with Path(path).open("rb") as file:
            data = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise TlsError(f"{flag}={path}: {error.strerror}") from None
    if len(data) > _FILE_BYTES_MAX:
        raise TlsError(f"{flag}={path}: it is larger than {_FILE_BYTES_MAX} bytes")
    return data.decode("latin-1")


def is_read_by_others(path: str) -> bool:
    """Whether the file's group, or everybody, may read it."""
    return bool(Path(path).stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def said(error: ssl.SSLError) -> str:
    """What OpenSSL says, in small letters."""
    return (error.reason or str(error)).replace("_", " ").lower()
