"""The names that etcd's users give to versions and cipher suites of TLS, and OpenSSL's names.

etcd has Go's names. Go decides by itself about the suites of TLS 1.3, and so does OpenSSL here:
they may be listed, and are always offered.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Final

VERSIONS: Final = {"TLS1.2": ssl.TLSVersion.TLSv1_2, "TLS1.3": ssl.TLSVersion.TLSv1_3}

OF_TLS_1_3: Final = frozenset(
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
)

_KEY_EXCHANGES: Final = {
    "TLS_ECDHE_ECDSA": "ECDHE-ECDSA-",
    "TLS_ECDHE_RSA": "ECDHE-RSA-",
    "TLS_RSA": "",
}
_CIPHERS: Final = {
    "AES_128_CBC_SHA": "AES128-SHA",
    "AES_256_CBC_SHA": "AES256-SHA",
    "AES_128_CBC_SHA256": "AES128-SHA256",
    "AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}
_CHACHA: Final = {
    f"TLS_ECDHE_{kind}_WITH_CHACHA20_POLY1305{ending}": f"ECDHE-{kind}-CHACHA20-POLY1305"
    for kind in ("ECDSA", "RSA")
    for ending in ("", "_SHA256")
}
OF_TLS_1_2: Final = {
    **{
        f"{exchange}_WITH_{cipher}": its_exchange + its_cipher
        for exchange, its_exchange in _KEY_EXCHANGES.items()
        for cipher, its_cipher in _CIPHERS.items()
    },
    **_CHACHA,
}
"""OpenSSL's name of each suite. Go's broken ciphers, RC4 and 3DES, are in no OpenSSL of today."""


def unknown_suites(names: Sequence[str]) -> list[str]:
    """The names that are no cipher suite."""
    return [name for name in names if name not in OF_TLS_1_2 and name not in OF_TLS_1_3]


def openssl_ciphers(names: Sequence[str]) -> str:
    """OpenSSL's list of the suites of TLS 1.2 among these; empty: none of them is of TLS 1.2."""
    return ":".join(OF_TLS_1_2[name] for name in names if name in OF_TLS_1_2)
