"""The secrets of a local cluster, in its data directory: whoever can read them is let in.

    DIR/secure/cert.pem        the certificate of all fronts; clients are given it as --cacert
    DIR/secure/key.pem         its key
    DIR/secure/root.password   the password of the user root
    DIR/secure/app.password    that of the user app
    DIR/secure/launcher.key    the key by which nodes know the launcher
    DIR/n1/keys/member.key     the key of the member n1, which is also its node's for clients

Only their owner may read them. What is there is never replaced, but for a certificate that ends
soon. Refuses to know what users may do.
"""

from __future__ import annotations

import os
import shutil
from functools import cached_property
from pathlib import Path
from typing import Final

from cluster.curve import HeldKeys, KeyPair, new_pair
from cluster.key_files import CLIENT, MEMBER, MEMBER_FILE, KeyFileError, read, write
from cluster.launcher.nodes.layout import Certificate, LauncherError
from cluster.private import create, make_directory, sync_directory
from cluster.tls import self_signed
from cluster.tls.loading import TlsError
from cluster.tls.options import ServerTls

FOLDER: Final = "secure"

ROOT: Final = "root"
APP: Final = "app"
PEOPLE: Final = (ROOT, APP)
"""The users with passwords."""

PASSWORD_BYTES: Final = 16
CERTIFICATE_YEARS: Final = 10


class SecureFiles:
    """The secrets in a data directory. Raises LauncherError."""

    def __init__(self, data_dir: Path) -> None:
        self.directory = (data_dir / FOLDER).absolute()
        self.key_file = self.directory / "launcher.key"
        self.certificate = Certificate(self.directory / "cert.pem", self.directory / "key.pem")

    def make(self) -> None:
        """Make what is missing: the certificate, the launcher's key, and the passwords."""
        try:
            make_directory(self.directory)
            if not self.key_file.exists():
                write(self.key_file, CLIENT, HeldKeys(new_pair()))
            for user in PEOPLE:
                if not self.password_file(user).exists():
                    _write(self.password_file(user), os.urandom(PASSWORD_BYTES).hex())
            self._make_certificate()
        except OSError as error:
            where = error.filename or self.directory
            raise LauncherError(f"cannot write {where}: {error.strerror}") from None

    @cached_property
    def pair(self) -> KeyPair:
        """The launcher's own keys."""
        try:
            return read(self.key_file, CLIENT).pair
        except (KeyFileError, OSError) as error:
            raise LauncherError(str(error)) from None

    def password_file(self, user: str) -> Path:
        """The file that holds the password of a user."""
        return self.directory / f"{user}.password"

    def password(self, user: str) -> str:
        """The password of a user, as it was when it was made."""
        path = self.password_file(user)
        try:
            return path.read_text().strip()
        except OSError as error:
            raise LauncherError(f"cannot read {path}: {error.strerror}") from None

    def _make_certificate(self) -> None:
        has_one = self.certificate.cert_file.exists()
        if not has_one and shutil.which(self_signed.OPENSSL) is None:
            raise LauncherError(
                f"a secure cluster needs the program {self_signed.OPENSSL}, which makes its"
                " certificate, and which is not found: install it"
            )
        tls = ServerTls(
            cert_file=str(self.certificate.cert_file),
            key_file=str(self.certificate.key_file),
            trusted_ca_file="",
            client_cert_auth=False,
            cipher_suites=(),
            min_version="",
            max_version="",
            self_signed_years=CERTIFICATE_YEARS,
            hosts=(),
        )
        try:
            self_signed.ensure(tls)
        except TlsError as error:
            raise LauncherError(f"no certificate could be made: {error}") from None


class MemberKey:
    """The public key of a member, as the file in its data directory has it now."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / MEMBER_FILE
        self._seen = 0
        self._key = ""

    def make(self, *, anew: bool = False) -> str:
        """Make the pair, unless there is one, or `anew`; the public half. Raises LauncherError."""
        try:
            if anew or not self._path.exists():
                write(self._path, MEMBER, HeldKeys(new_pair()))
            return read(self._path, MEMBER).pair.public
        except (KeyFileError, OSError) as error:
            raise LauncherError(f"no key for a member: {error}") from None

    def now(self) -> str:
        """The public half under which the member is reached; while the file cannot be read, as it
        was last. Empty: there is none."""
        try:
            changed = self._path.stat().st_mtime_ns
            if changed != self._seen:
                held = read(self._path, MEMBER)
                # A member that changes its key is soon reached under the next one alone, while the
                # former one counts until all members know that.
                self._key = (held.next or held.pair).public
                self._seen = changed
        except (KeyFileError, OSError):
            pass  # the member is being wiped, or was never started
        return self._key


def _write(path: Path, password: str) -> None:
    """Write a password durably: the cluster keeps the user, and the file must not be lost."""
    with create(path) as file:
        file.write(password.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)
