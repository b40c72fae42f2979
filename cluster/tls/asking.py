"""What a client of TLS needs, made from its files: whom it trusts, and what it shows of itself.

As Go does, it checks that the server's certificate is for the host of the endpoint, a name or an
address, and trusts the system's authorities if none is given. Refuses to know who connects.
"""

from __future__ import annotations

import ssl
from typing import Final

from cluster.tls.files import ClientFiles, FileNames
from cluster.tls.loading import TlsError, load_authorities, load_pair
from cluster.tls.words import NO_HANDSHAKE, handshake_words, verification_error

SPEAKS_NO_TLS: Final = "the server speaks no TLS"
ENDED_EARLY: Final = "the server closed the connection in the handshake: it may speak no TLS"
_ENDED: Final = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
_FOREIGN: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE"})


def client_context(files: ClientFiles, names: FileNames) -> ssl.SSLContext:
    """Load the files. Raises TlsError, which names the one that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if bool(files.cert) != bool(files.key):
        given = f"[key: {files.key}, cert: {files.cert}]"
        raise TlsError(f"{names.key} and {names.cert} must both be present {given}")
    if files.cert:
        load_pair(context, (names.cert, names.key), files.cert, files.key)
    if files.ca_cert:
        load_authorities(context, names.ca_cert, files.ca_cert)
    else:
        context.load_default_certs()
    if files.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def connection_error(error: OSError) -> str:
    """What is wrong with a connection's TLS; "" if it did not get as far, or has just ended."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return verification_error(error)
    if isinstance(error, ssl.SSLError):
        words = handshake_words(error)
        return SPEAKS_NO_TLS if words == NO_HANDSHAKE or error.reason in _FOREIGN else words
    return ENDED_EARLY if isinstance(error, _ENDED) else ""
