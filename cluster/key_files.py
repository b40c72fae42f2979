"""Files with keys: that of a member, that of a client, and the secret that members begin with.

Only their owner may read them: a file that others may read is refused, and so is a damaged one.
What is written survives a crash. Refuses to know what the keys are for.
"""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cluster.curve import BOOTSTRAP_BYTES_MIN, HeldKeys, KeyPair, pair_of, parse_key
from cluster.private import create, make_directory, sync_directory

FORMAT: Final = 1
MEMBER: Final = "member"
CLIENT: Final = "client"

MEMBER_FILE: Final = Path("keys", "member.key")
"""Where a member keeps its keys, in its data directory."""

FILE_BYTES_MAX: Final = 4_096


class KeyFileError(ValueError):
    """A file with keys that is not used; the message is one line that names it and says why."""


def read(path: Path, kind: str) -> HeldKeys:
    """The keys of a file. Raises KeyFileError, and OSError when it cannot be read."""
    try:
        fields = json.loads(_read_private(path))
        if not isinstance(fields, dict) or fields.get("v") != FORMAT:
            raise ValueError("no key file of this version")
        if fields.get("kind") != kind:
            raise ValueError(f"the file holds the key of a {str(fields.get('kind'))[:20]}")
        following = fields.get("next")
        return HeldKeys(
            _pair(fields), None if following is None else _pair(following), bool(fields["is_first"])
        )
    except KeyFileError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KeyFileError(
            f"{path} is damaged, or holds no key of a {kind}: {error}. Bring it back from a copy, "
            "or use another key"
        ) from None


def write(path: Path, kind: str, keys: HeldKeys) -> None:
    """Write a key file, durably and in one step: a crash leaves the old one or the new one."""
    make_directory(path.parent)
    fields: dict[str, Any] = {"v": FORMAT, "kind": kind, **keys.pair._asdict()}
    fields |= {"next": None if keys.next is None else keys.next._asdict()}
    fields |= {"is_first": keys.is_first, "made": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    draft = path.with_name(path.name + ".new")
    with create(draft) as file:
        file.write(json.dumps(fields, indent=1).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def read_bootstrap(path: Path) -> bytes:
    """The bootstrap secret in a file. Raises KeyFileError, and OSError when it cannot be read."""
    secret = _read_private(path).strip()
    if len(secret) < BOOTSTRAP_BYTES_MIN:
        raise KeyFileError(
            f"{path}: a bootstrap secret has at least {BOOTSTRAP_BYTES_MIN} bytes: make one with "
            f"`leasehold key bootstrap {path}`"
        )
    return secret


def write_bootstrap(path: Path) -> None:
    """Write a new bootstrap secret. Raises FileExistsError rather than replace one."""
    make_directory(path.parent)
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    with create(path) as file:
        file.write(os.urandom(BOOTSTRAP_BYTES_MIN).hex().encode() + b"\n")


def _read_private(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyFileError(
                f"{path}: others may read or change this key (its mode is {mode:04o}): "
                f"`chmod 600 {path}`, and use another key if somebody has read it"
            )
        directory = stat.S_IMODE(path.parent.stat().st_mode)
        if directory & (stat.S_IWGRP | stat.S_IWOTH):
            raise KeyFileError(
                f"{path.parent}: others may replace the key in this directory (its mode is "
                f"{directory:04o}): `chmod 700 {path.parent}`"
            )
        return file.read(FILE_BYTES_MAX)


def _pair(fields: Any) -> KeyPair:
    pair = KeyPair(parse_key(fields["public"]), parse_key(fields["secret"]))
    if pair_of(pair.secret) != pair:
        raise ValueError("its public key does not belong to its secret key")
    return pair
