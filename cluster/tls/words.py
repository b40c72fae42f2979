"""What OpenSSL says of a failed handshake, in the words that etcd's log has for it (Go's).

Refuses to know sockets: it gets the error, and gives a text.
"""

from __future__ import annotations

import re
import ssl
from typing import Final

NO_HANDSHAKE: Final = "tls: first record does not look like a TLS handshake"
UNKNOWN_AUTHORITY: Final = "x509: certificate signed by unknown authority"

_ALERT: Final = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_ALERT_(\w+)|(?:TLSV1|TLSV13)_(\w+)")
_ALERTS: Final = {
    "UNKNOWN_CA": "unknown certificate authority",
    "CERTIFICATE_EXPIRED": "expired certificate",
    "CERTIFICATE_REVOKED": "revoked certificate",
    "CERTIFICATE_UNKNOWN": "unknown certificate",
    "CERTIFICATE_REQUIRED": "certificate required",
    "PROTOCOL_VERSION": "protocol version not supported",
}
"""Alerts of a peer that Go words otherwise than OpenSSL."""

_REASONS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "tls: client didn't provide a certificate",
    "NO_SHARED_CIPHER": "tls: no cipher suite supported by both client and server",
    "UNSUPPORTED_PROTOCOL": "tls: client offered only unsupported versions",
    "WRONG_VERSION_NUMBER": NO_HANDSHAKE,
}

_UNKNOWN_AUTHORITY: Final = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's codes of a chain that ends at nobody whom the other side trusts."""
_EXPIRED: Final = 10
_NOT_YET_VALID: Final = 9
_OTHER_HOST: Final = frozenset({62, 64})


def handshake_error(error: ssl.SSLError) -> str:
    """Why a server's handshake with a client failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"tls: failed to verify client certificate: {verification_error(error)}"
    return handshake_words(error)


def verification_error(error: ssl.SSLCertVerificationError) -> str:
    """Why a certificate is not accepted."""
    code = error.verify_code
    if code in _UNKNOWN_AUTHORITY:
        return UNKNOWN_AUTHORITY
    if code == _EXPIRED:
        return "x509: certificate has expired"
    if code == _NOT_YET_VALID:
        return "x509: certificate is not yet valid"
    if code in _OTHER_HOST:
        # "Hostname mismatch, certificate is not valid for 'a.b'."
        return f"x509: {error.verify_message.rpartition(', ')[2].rstrip('.')}"
    return f"x509: {error.verify_message}"


def handshake_words(error: ssl.SSLError) -> str:
    """What the other side, or OpenSSL, has against a handshake."""
    reason = error.reason or ""
    if reason in _REASONS:
        return _REASONS[reason]
    found = _ALERT.fullmatch(reason)
    if found is not None:
        name = found[1] or found[2]
        return "remote error: tls: " + _ALERTS.get(name, name.replace("_", " ").lower())
    return "tls: " + (reason.replace("_", " ").lower() or str(error))
