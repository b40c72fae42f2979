"""`python -m actors snapshot status|restore FILE`: etcdutl's commands, with its flags and output.

They need no running node. Owns their arguments, output and exit status. Refuses to know what is in
a snapshot, and how a member is made of one: that is `restore`'s.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from actors.language.errors import StorageError
from actors.offline.restore import REVISION_BUMP, SnapshotStatus, restore, status_of
from cluster.config import NodeFlags, resolve
from cluster.flag_values import ConfigError
from cluster.flags import FlagParser, fail
from cluster.values import format_size

PROGRAM: Final = "leasehold snapshot"
BUMP_MAX: Final = 1 << 50
EXIT_FAILED: Final = 1

_MEMBER_FLAGS: Final = {
    "name": "human-readable name of this member",
    "data_dir": "directory to make; must not exist, or be empty but for what `leasehold key make`"
    " has made (default NAME.leasehold)",
    "initial_cluster": "the members, NAME=URL,NAME=URL..., or NAME=URL#KEY,NAME=URL#KEY... if they"
    " have keys (default this one alone)",
    "initial_cluster_token": "the same as for the node later",
    "initial_cluster_key_file": "the secret that all first members share, if they have keys",
    "initial_advertise_peer_urls": "where the other members reach this one",
}

_NO_KEYS: Final = (
    "warning: the members of the new cluster have no keys, and those of the snapshot had: whoever"
    " reaches a peer URL can speak as a member. A cluster cannot be given keys later, so restore"
    " again with --initial-cluster-key-file, or with the keys named in --initial-cluster\n"
)

_FORMS: Final = ("simple", "json", "table", "fields")
_COLUMNS: Final = ("HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE")


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    command, parsed = _parse(arguments)
    try:
        if command == "status":
            _show(status_of(Path(parsed.file)), parsed.write_out)
        else:
            _restore(parsed)
    except (StorageError, ConfigError, OSError) as error:
        fail(PROGRAM, str(error), EXIT_FAILED)
    return 0


def _restore(parsed: Namespace) -> None:
    bump = parsed.bump_revision
    if not 0 <= bump <= BUMP_MAX:
        raise ConfigError(f"--bump-revision must be between 0 and {BUMP_MAX}")
    if parsed.mark_compacted and not bump:
        raise ConfigError("--mark-compacted required if --bump-revision > 0, disallowed otherwise")
    config = resolve(NodeFlags(**{field: getattr(parsed, field) for field in _MEMBER_FLAGS}))
    restored = restore(Path(parsed.file), config, bump, parsed.skip_hash_check)
    sys.stderr.write(f"restored snapshot {parsed.file} to {config.data_dir}\n")
    if restored.had_keys and not restored.have_keys:
        sys.stderr.write(_NO_KEYS)


# --- output -----------------------------------------------------------------------------------


def _show(status: SnapshotStatus, form: str) -> None:
    size = format_size(status.total_bytes)
    row = (f"{status.hash:x}", str(status.revision), str(status.total_keys), size)
    if form == "json":
        text = json.dumps(_as_json(status), separators=(",", ":"))
    elif form == "table":
        text = _table(row)
    elif form == "fields":
        names = ("Hash", "Revision", "Keys", "Size")
        text = "\n".join(f'"{n}" : {value}' for n, value in zip(names, status, strict=True))
    else:
        text = ", ".join(row)
    sys.stdout.write(text + "\n")


def _as_json(status: SnapshotStatus) -> dict[str, Any]:
    return {
        "hash": status.hash,
        "revision": status.revision,
        "totalKey": status.total_keys,
        "totalSize": status.total_bytes,
    }


def _table(row: Sequence[str]) -> str:
    widths = [max(map(len, pair)) for pair in zip(_COLUMNS, row, strict=True)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    head = "|" + "|".join(f" {c:^{w}} " for c, w in zip(_COLUMNS, widths, strict=True)) + "|"
    body = "|" + "|".join(f" {c:>{w}} " for c, w in zip(row, widths, strict=True)) + "|"
    return "\n".join((rule, head, rule, body, rule))


# --- arguments --------------------------------------------------------------------------------


def _parse(arguments: Sequence[str]) -> tuple[str, Namespace]:
    """The command and its arguments."""
    command = arguments[0] if arguments else ""
    if command == "status":
        parser = _status_parser()
    elif command == "restore":
        parser = _restore_parser()
    else:
        fail(PROGRAM, "expected `status FILE` or `restore FILE` (each has --help)")
    parser.add_argument("file", metavar="FILE")
    return command, parser.parse_args(arguments[1:])


def _status_parser() -> FlagParser:
    parser = FlagParser(f"{PROGRAM} status", "What a snapshot file holds; all of it is checked.")
    parser.add_argument("-w", "--write-out", choices=_FORMS, default=_FORMS[0])
    return parser


def _restore_parser() -> FlagParser:
    parser = FlagParser(
        f"{PROGRAM} restore", "Make the data directory of a member of a new cluster of a snapshot."
    )
    defaults = NodeFlags()
    for field, explained in _MEMBER_FLAGS.items():
        default = getattr(defaults, field)
        shown = f"{explained} (default {default})" if default else explained
        flag = f"--{field.replace('_', '-')}"
        parser.add_argument(flag, metavar="VALUE", default=default, help=shown)
    parser.add_argument(
        "--bump-revision",
        type=int,
        metavar="N",
        default=REVISION_BUMP,
        help="how much to raise the revision above the snapshot's, or 0; earlier revisions are "
        f"compacted, so that watchers of the old cluster are not misled (default {REVISION_BUMP})",
    )
    parser.add_argument(
        "--mark-compacted", action="store_true", help="etcdutl's flag; it is always done here"
    )
    parser.add_argument(
        "--skip-hash-check",
        action="store_true",
        help="take the file `store` of a data directory as well, which has no hash",
    )
    return parser
