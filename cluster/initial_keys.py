"""The keys of a cluster's first members: named in a flag, or derived from a secret that they share.

It reads the file of that secret. Refuses to know a member's own file of keys.
"""

from __future__ import annotations

from pathlib import Path

from cluster.curve import derived_pair
from cluster.flag_values import ConfigError
from cluster.identity import InitialMember
from cluster.key_files import KeyFileError, read_bootstrap


def keyed_members(
    members: tuple[InitialMember, ...], bootstrap: Path | None, own_name: str, state: str
) -> tuple[InitialMember, ...]:
    """The members with their keys. Raises ConfigError when only some of them have one.

    A member that joins (`state` is existing) may have its key in its data directory only.
    """
    if bootstrap is not None:
        try:
            secret = read_bootstrap(bootstrap)
        except (KeyFileError, OSError) as error:
            raise ConfigError(f"--initial-cluster-key-file: {error}") from None
        members = tuple(
            each if each.key else each._replace(key=derived_pair(secret, each.name).public)
            for each in members
        )
    without = [each.name for each in members if not each.key]
    if state != "new" and own_name in without:
        without.remove(own_name)
    if without and any(each.key for each in members):
        raise ConfigError(
            f"--initial-cluster names no key of {', '.join(without)}: name one of every member, as "
            "NAME=URL#KEY, or give --initial-cluster-key-file"
        )
    return members
