"""etcd's flags of TLS for clients, checked and turned into one value. It opens no file.

Members do not use TLS between them. The flags that etcd has for that are refused, with the reason.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from cluster.flag_values import ConfigError, integer, invalid, is_on, split
from cluster.schemes import HTTPS
from cluster.tls.versions import OF_TLS_1_3, VERSIONS, openssl_ciphers, unknown_suites

VALIDITY_YEARS_MAX: Final = 100

SELF_SIGNED_FOLDER: Final = Path("fixtures", "client")
"""Where etcd keeps what `--auto-tls` makes, in the data directory: scripts know the place."""

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})

_NOT_FOR_MEMBERS: Final = (
    "members do not speak TLS to each other, but CURVE: give them keys by"
    " --initial-cluster-key-file (`leasehold key bootstrap` makes the file)"
)

REFUSED: Final[Mapping[str, str]] = {
    "peer-cert-file": _NOT_FOR_MEMBERS,
    "peer-key-file": _NOT_FOR_MEMBERS,
    "peer-client-cert-auth": _NOT_FOR_MEMBERS,
    "peer-trusted-ca-file": _NOT_FOR_MEMBERS,
    "peer-cert-allowed-cn": _NOT_FOR_MEMBERS,
    "peer-cert-allowed-hostname": _NOT_FOR_MEMBERS,
    "peer-auto-tls": _NOT_FOR_MEMBERS,
    "peer-crl-file": _NOT_FOR_MEMBERS,
    "client-crl-file": "lists of revoked certificates are not read: let an authority of its own"
    " sign the clients' certificates, for days, and replace --trusted-ca-file to revoke them all",
    "client-cert-allowed-hostname": "names of hosts in clients' certificates are not looked at: a"
    " client is who the common name says",
}
"""etcd's flags that are known and refused, and why; to ignore them would leave a door open."""


class TlsFlags(NamedTuple):
    """The flags of a node that are about TLS, as they were typed."""

    cert_file: str
    key_file: str
    trusted_ca_file: str
    client_cert_auth: str
    cipher_suites: str
    tls_min_version: str
    tls_max_version: str
    auto_tls: str
    self_signed_cert_validity: str


class ServerTls(NamedTuple):
    """How a node's front speaks TLS. Paths are absolute; an empty one is not given.

    With `self_signed_years` above 0 the node makes the certificate by itself, for these `hosts`.
    """

    cert_file: str
    key_file: str
    trusted_ca_file: str
    client_cert_auth: bool
    cipher_suites: tuple[str, ...]
    min_version: str
    max_version: str
    self_signed_years: int
    hosts: tuple[str, ...]

    @property
    def wants_client_certificates(self) -> bool:
        """Whether a client without a certificate is turned away; as in etcd, an authority is
        enough for that."""
        return bool(self.trusted_ca_file) or self.client_cert_auth

    def to_fields(self) -> dict[str, Any]:
        """As fields of JSON."""
        return self._asdict()


def from_fields(fields: Mapping[str, Any]) -> ServerTls:
    """What `to_fields` gave, also after its way through JSON."""
    lists = {name: tuple(fields[name]) for name in ("cipher_suites", "hosts")}
    return ServerTls(**{**fields, **lists})


def server_tls(
    flags: TlsFlags, urls: Sequence[str], advertised: Sequence[str], data_dir: Path
) -> ServerTls | None:
    """How the URLs with https among those to listen at are served; None if no flag asks for TLS.

    Raises ConfigError, also if a URL needs a certificate that no flag names.
    """
    secure = [url for url in urls if url.startswith(HTTPS)]
    cert_file, key_file = flags.cert_file, flags.key_file
    if bool(cert_file) != bool(key_file):
        raise ConfigError(
            f"--cert-file and --key-file must both be present [key: {key_file}, cert: {cert_file}]"
        )
    years = 0
    if is_on("auto-tls", flags.auto_tls) and not cert_file:
        years = _validity(flags.self_signed_cert_validity)
        folder = data_dir / SELF_SIGNED_FOLDER
        cert_file, key_file = str(folder / "cert.pem"), str(folder / "key.pem")
    if not cert_file and secure:
        raise ConfigError(
            "TLS key/cert (--cert-file, --key-file) must be provided for client url"
            f" {secure[0]} with HTTPS scheme; or --auto-tls"
        )
    client_cert_auth = is_on("client-cert-auth", flags.client_cert_auth)
    if client_cert_auth and not flags.trusted_ca_file:
        raise ConfigError(
            "--client-cert-auth needs --trusted-ca-file, the authority that signs clients'"
            " certificates: without it, anybody's authority would do"
        )
    if not cert_file:
        return None
    suites, lowest, highest = _versions(flags)
    ca_file = flags.trusted_ca_file
    return ServerTls(
        cert_file=str(Path(cert_file).absolute()),
        key_file=str(Path(key_file).absolute()),
        trusted_ca_file=str(Path(ca_file).absolute()) if ca_file else "",
        client_cert_auth=client_cert_auth,
        cipher_suites=suites,
        min_version=lowest,
        max_version=highest,
        self_signed_years=years,
        hosts=_hosts([*secure, *advertised]),
    )


def _validity(text: str) -> int:
    years = integer("self-signed-cert-validity", text)
    if not 1 <= years <= VALIDITY_YEARS_MAX:
        reason = f"between 1 and {VALIDITY_YEARS_MAX} years"
        raise invalid("self-signed-cert-validity", text, reason)
    return years


def _versions(flags: TlsFlags) -> tuple[tuple[str, ...], str, str]:
    """The cipher suites, the lowest and the highest version; "" where OpenSSL decides."""
    lowest, highest = flags.tls_min_version, flags.tls_max_version
    for flag, text in (("tls-min-version", lowest), ("tls-max-version", highest)):
        if text and text not in VERSIONS:
            raise invalid(flag, text, f'unexpected TLS version "{text}": TLS1.2 or TLS1.3')
    if lowest and highest and VERSIONS[lowest] > VERSIONS[highest]:
        raise ConfigError(
            f"--tls-min-version ({lowest}) is greater than --tls-max-version ({highest})"
        )
    suites = tuple(split(flags.cipher_suites))
    if unknown := unknown_suites(suites):
        raise ConfigError(f'--cipher-suites: unexpected TLS cipher suite "{unknown[0]}"')
    if suites and lowest == "TLS1.3":
        raise ConfigError("--cipher-suites cannot be configured when only TLS1.3 is enabled")
    if suites and not openssl_ciphers(suites):
        if highest == "TLS1.2":
            raise ConfigError(
                f"--cipher-suites: none is of TLS1.2, the --tls-max-version: {suites[0]}"
            )
        lowest = "TLS1.3"
    return tuple(suite for suite in suites if suite not in OF_TLS_1_3), lowest, highest


def _hosts(urls: Sequence[str]) -> tuple[str, ...]:
    """The hosts of the URLs with https that somebody may connect to, and this machine's name if
    one of them stands for all addresses."""
    hosts: dict[str, None] = {}
    for url in urls:
        if url.startswith(HTTPS):
            host = url.removeprefix(HTTPS).rpartition(":")[0].strip("[]")
            hosts[socket.gethostname() if host in _EVERYWHERE else host] = None
    return tuple(hosts)
