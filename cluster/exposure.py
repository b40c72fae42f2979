"""Ports that other machines reach: a node does not open one without keys unless told to.

Owns what an operator is told to type instead. It opens no socket.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from cluster.flag_values import ConfigError
from cluster.schemes import HTTP, TCP


def exposed(urls: Iterable[str]) -> list[str]:
    """The URLs, as `listen_url` gives them, that are not only for this machine."""
    return [url for url in urls if not _is_loopback(url)]


def refuse_open_peers(urls: Iterable[str], have_keys: bool) -> None:
    """Refuse to listen for members on other machines without keys."""
    found = exposed(urls)
    if found and not have_keys:
        raise ConfigError(
            f"--listen-peer-urls has {found[0]}: whoever reaches that port could speak as a "
            "member. Make a secret with `leasehold key bootstrap FILE`, copy it to each member, "
            "and give --initial-cluster-key-file=FILE; or say --insecure"
        )


def refuse_open_clients(urls: Iterable[str], have_keys: bool) -> None:
    """Refuse to listen for clients on other machines where nobody is asked who they are.

    At https:// URLs the front's TLS may ask for certificates, and users have passwords.
    """
    for url in exposed(urls):
        said = f"--listen-client-urls has {url}: whoever reaches that port could read and write. "
        if url.startswith(HTTP):
            raise ConfigError(
                said + "Use https://, or tcp:// with --client-keys; or say --insecure"
            )
        if url.startswith(TCP) and not have_keys:
            raise ConfigError(said + "Give --client-keys, or use https://; or say --insecure")


def _is_loopback(url: str) -> bool:
    host = url.partition("://")[2].rpartition(":")[0].strip("[]")
    return ip_address(host).is_loopback
