"""The flags of the audit log, checked and turned into one value. It opens no file.

The names of the limits are those of Kubernetes' API server, since etcd has no audit log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from cluster.flag_values import ConfigError, between, invalid

AUDIT_LEVELS: Final = ("auth", "writes", "all")
"""How much is recorded; each level has what the ones before it have."""

MEGABYTES_MAX: Final = 100_000
KEPT_MAX: Final = 1_000


NAME: Final = "{name}"
"""Stands for the node's name in the path: nodes that share their flags need a file each."""


class AuditFlags(NamedTuple):
    """The flags of a node that are about the audit log, as they were typed, and its name."""

    name: str
    audit_log: str
    audit_log_level: str
    audit_log_maxsize: str
    audit_log_maxbackup: str


class AuditConfig(NamedTuple):
    """Where the audit log is, and how much it has: a file is rotated before it would be larger than
    `bytes_max`, and `kept` older ones are kept."""

    path: Path
    level: str
    bytes_max: int
    kept: int


def audit_config(flags: AuditFlags, defaults: AuditFlags) -> AuditConfig | None:
    """What the flags say; None: there is no audit log. Raises ConfigError."""
    if flags.audit_log_level not in AUDIT_LEVELS:
        levels = ", ".join(AUDIT_LEVELS)
        raise invalid("audit-log-level", flags.audit_log_level, f"one of {levels}")
    megabytes = between(1, MEGABYTES_MAX, "audit-log-maxsize", flags.audit_log_maxsize)
    kept = between(1, KEPT_MAX, "audit-log-maxbackup", flags.audit_log_maxbackup)
    if flags.audit_log:
        path = Path(flags.audit_log.replace(NAME, flags.name))
        return AuditConfig(path, flags.audit_log_level, megabytes << 20, kept)
    for name, text in flags._asdict().items():
        if name != "name" and text != getattr(defaults, name):
            flag = name.replace("_", "-")
            raise ConfigError(f"--{flag}={text} has no meaning without --audit-log")
    return None
