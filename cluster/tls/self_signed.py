"""`--auto-tls`: a certificate that a node makes and signs by itself, in its data directory.

The program `openssl` makes it: nearly every Linux has it, and a library would be one more to
install for what is done once. Owns both files, which it replaces together. Refuses to know who
reads them.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cluster.private import create, make_directory, sync_directory
from cluster.tls.loading import TlsError
from cluster.tls.options import ServerTls
from cluster.tls.serving import ServerCredentials, served
from cluster.values import DAY_SECONDS

YEAR_DAYS: Final = 365
RENEWED_BEFORE_SECONDS: Final = 30 * DAY_SECONDS
"""A certificate is made anew when it ends sooner than this."""

OPENSSL: Final = "openssl"
OPENSSL_SECONDS_MAX: Final = 30.0
"""A key of a curve takes milliseconds; more time than this it takes on no machine that works."""

_ALWAYS: Final = ("localhost", "127.0.0.1", "::1")
"""The names of every certificate: those who ask a node on its own machine."""

_CONFIGURATION: Final = """\
[req]
distinguished_name = subject
x509_extensions = extensions
prompt = no
[subject]
O = leasehold
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always
subjectAltName = {names}
"""

log = logging.getLogger("leasehold.tls")


def is_due(good: ServerCredentials, tls: ServerTls) -> bool:
    """Whether the certificate ends soon, or is not for all hosts of the URLs."""
    ends_soon = good.expires_at - time.time() < RENEWED_BEFORE_SECONDS
    return ends_soon or not set(_names(tls)) <= good.names


def ensure(tls: ServerTls) -> None:
    """Make the certificate if there is none, or no good one. Raises TlsError."""
    if Path(tls.cert_file).exists() and Path(tls.key_file).exists():
        try:
            if not is_due(served(tls), tls):
                return
        except TlsError as error:
            log.warning("making another certificate: %s", error)
    make(tls)


def make(tls: ServerTls) -> None:
    """Make a certificate and its key, and put them in the place of those that are there.

    Raises TlsError.
    """
    program = shutil.which(OPENSSL)
    if program is None:
        raise TlsError(
            f"--auto-tls needs the program {OPENSSL}, which is not found: install it, or give"
            " --cert-file and --key-file"
        )
    cert, key = Path(tls.cert_file), Path(tls.key_file)
    try:
        make_directory(cert.parent)
        new_cert, new_key = cert.with_suffix(".new"), key.with_suffix(".new")
        request = cert.with_name("request.new")
        for path, text in (
            (request, _CONFIGURATION.format(names=_alternative_names(tls))),
            (new_cert, ""),
            (new_key, ""),
        ):
            with create(path) as file:
                file.write(text.encode())
        _run(program, request, new_cert, new_key, tls.self_signed_years * YEAR_DAYS)
        request.unlink()
        # A reader that comes between the two keeps what it has: they do not fit.
        new_key.replace(key)
        new_cert.replace(cert)
        cert.chmod(0o644)  # clients on this machine may be given it as --cacert
        sync_directory(cert.parent)
    except OSError as error:
        raise TlsError(f"--auto-tls: {error.filename or cert}: {error.strerror}") from None
    log.info("made a certificate for %s: %s", ", ".join(_names(tls)), cert)


def _run(program: str, request: Path, cert: Path, key: Path, days: int) -> None:
    command = [program, "req", "-x509", "-config", str(request), "-days", str(days), "-nodes"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-sha256"]
    command += ["-keyout", str(key), "-out", str(cert)]
    environment = {**os.environ, "OPENSSL_CONF": str(request)}
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=OPENSSL_SECONDS_MAX,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise TlsError(f"--auto-tls: {program} takes too long") from None
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise TlsError(f"--auto-tls: {program} failed: {last}")


def _names(tls: ServerTls) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*tls.hosts, *_ALWAYS)))


def _alternative_names(tls: ServerTls) -> str:
    return ", ".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in _names(tls))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
