"""What a server of TLS needs, made from its files: a context, and what its certificate says.

A certificate that is over is refused: no client would take it. Files that their owner alone should
read are complained of. Refuses to know when files change.
"""

from __future__ import annotations

import logging
import ssl
import time
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from cluster.tls.loading import TlsError, is_read_by_others, load_authorities, load_pair, said
from cluster.tls.options import ServerTls
from cluster.tls.versions import VERSIONS, openssl_ciphers
from cluster.values import DAY_SECONDS

ALPN: Final = ("http/1.1", "h2")
"""What the front speaks. A client that speaks both, such as curl or a browser, gets HTTP/1.1, where
JSON and the probes are; those of gRPC offer h2 alone."""

EXPIRY_WARNING_SECONDS: Final = 14 * DAY_SECONDS
"""A certificate that ends sooner than this is complained of."""

CERT_FLAGS: Final = ("--cert-file", "--key-file")
CA_FLAG: Final = "--trusted-ca-file"

_NO_CHECK_TIME: Final = 0x20_0000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python has no name for."""

log = logging.getLogger("leasehold.tls")


class ServerCredentials(NamedTuple):
    """A context for servers, until when its certificate is good, in seconds since 1970, and the
    hosts that it is for."""

    context: ssl.SSLContext
    expires_at: float
    names: frozenset[str]


def served(tls: ServerTls) -> ServerCredentials:
    """Load the files. Raises TlsError if a client could not be served with them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS.get(tls.min_version, ssl.TLSVersion.TLSv1_2)
    if tls.max_version:
        context.maximum_version = VERSIONS[tls.max_version]
    # Each connection is checked anew, and a client cannot make the server work by asking for more.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.set_alpn_protocols(list(ALPN))
    if tls.cipher_suites:
        _set_ciphers(context, tls)
    leaf = load_pair(context, CERT_FLAGS, tls.cert_file, tls.key_file)
    certificate = _own_certificate(context, leaf, tls)
    expires_at = _expiry(certificate, tls)
    if tls.trusted_ca_file:
        load_authorities(context, CA_FLAG, tls.trusted_ca_file)
    if tls.wants_client_certificates:
        context.verify_mode = ssl.CERT_REQUIRED
    return ServerCredentials(context, expires_at, _names_in(certificate))


def complain(tls: ServerTls, good: ServerCredentials) -> None:
    """Warn of what works today, and should not be left so."""
    if is_read_by_others(tls.key_file):
        log.warning(
            "%s=%s may be read by others: chmod 600 it, or 640 with a group of its own",
            CERT_FLAGS[1],
            tls.key_file,
        )
    stats = good.context.cert_store_stats()
    if stats["x509"] > stats["x509_ca"]:
        log.warning(
            "%s=%s: %d of its certificates belong to no authority: each is trusted for itself only",
            CA_FLAG,
            tls.trusted_ca_file,
            stats["x509"] - stats["x509_ca"],
        )
    left = good.expires_at - time.time()
    if left < EXPIRY_WARNING_SECONDS and not tls.self_signed_years:
        log.warning(
            "%s=%s: the certificate ends in %.1f days: replace both files, which the running node"
            " notices",
            CERT_FLAGS[0],
            tls.cert_file,
            left / DAY_SECONDS,
        )


def _set_ciphers(context: ssl.SSLContext, tls: ServerTls) -> None:
    try:
        context.set_ciphers(openssl_ciphers(tls.cipher_suites))
    except ssl.SSLError:
        names = ",".join(tls.cipher_suites)
        raise TlsError(
            f"--cipher-suites={names}: this machine's OpenSSL has none of them"
        ) from None


def _own_certificate(context: ssl.SSLContext, leaf: str, tls: ServerTls) -> dict[str, Any]:
    """What a client sees of the certificate. A handshake with ourselves tells, and shows that the
    key, the suites and the versions fit together. Raises TlsError."""
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname = False
    asking.load_verify_locations(cadata=leaf)
    asking.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    try:
        return _shake_hands(context, asking)
    except ssl.SSLError as error:
        if tls.cipher_suites and error.reason == "NO_SHARED_CIPHER":
            names = ",".join(tls.cipher_suites)
            text = f"none of them fits the key of {CERT_FLAGS[0]}={tls.cert_file}"
            raise TlsError(f"--cipher-suites={names}: {text}") from None
        raise TlsError(f"{CERT_FLAGS[0]}={tls.cert_file}: {said(error)}") from None


def _expiry(found: dict[str, Any], tls: ServerTls) -> float:
    """When the certificate ends. Raises TlsError if it has, or is not valid yet."""
    begins_at = ssl.cert_time_to_seconds(found["notBefore"])
    expires_at = ssl.cert_time_to_seconds(found["notAfter"])
    now = time.time()
    if now >= expires_at:
        raise TlsError(
            f"{CERT_FLAGS[0]}={tls.cert_file}: the certificate has expired, on {found['notAfter']}"
        )
    if now < begins_at:
        raise TlsError(
            f"{CERT_FLAGS[0]}={tls.cert_file}: the certificate is not valid yet, but from"
            f" {found['notBefore']}; this machine's clock may be wrong"
        )
    return expires_at


def _names_in(found: dict[str, Any]) -> frozenset[str]:
    """The hosts that a certificate is for, each address in its shortest form."""
    names = set()
    for kind, value in found.get("subjectAltName", ()):
        names.add(str(ip_address(value)) if kind == "IP Address" else value)
    return frozenset(names)


def _shake_hands(serving: ssl.SSLContext, asking: ssl.SSLContext) -> dict[str, Any]:
    """The server's certificate, as the client sees it."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(there, back, server_side=True)
    client = asking.wrap_bio(back, there)
    for side in (client, server, client, server, client):  # TLS 1.2 needs all of them
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return dict(client.getpeercert() or {})
