"""leasectl edit: change a key's value in an editor, and only if nobody else has changed it."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path
from typing import Any, Final

import click

from cluster.cli import children, completing
from cluster.cli.app import Command
from cluster.cli.ending import CommandError, bad_arguments, go_text
from cluster.cli.output import complain
from cluster.cli.settings import CliSettings
from cluster.errors import LeaseholdError

EDITOR_VARIABLES: Final = ("VISUAL", "EDITOR")
EDITOR: Final = "vi"
"""What edits where no variable names an editor."""

END: Final = b"\n"


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="KEY", shell_complete=completing.keys)
@click.pass_obj
def edit(settings: CliSettings, words: tuple[str, ...]) -> None:
    """Edit the value of a key in $VISUAL or $EDITOR (not in etcd).

    The value is written back only if the key is as it was, and it keeps its lease. Otherwise the
    file with the new text stays. A key that does not exist is made. Editors end the last line;
    where the value had no such end, it gets none.
    """
    if len(words) != 1:
        bad_arguments("edit command needs one argument as key")
    key = os.fsencode(words[0])
    printer = settings.printer("put")
    with settings.connect() as client:
        found = client.get(key)
        before = b"" if found is None else found.value
        path = _file_with(before)
        _run_editor(path)
        after = _value_in(path, before)
        if after == before:
            path.unlink()
            complain("unchanged")
            return
        revision = 0 if found is None else found.mod_revision
        result = _put_if_unchanged(client, key, after, revision, path)
    path.unlink()
    printer.put(result)


def _file_with(value: bytes) -> Path:
    """A new file that only its owner may read."""
    descriptor, name = tempfile.mkstemp(prefix="leasectl-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(value)
    return Path(name)


def _run_editor(path: Path) -> None:
    """Run the editor to its end. When that is not a good one, nothing is written."""
    given = [os.environ[name] for name in EDITOR_VARIABLES if os.environ.get(name)]
    editor = shlex.split(given[0] if given else EDITOR)
    try:
        status = children.run([*editor, str(path)], {})
    except children.StartError as error:
        path.unlink()
        raise CommandError(f"{error}: set $EDITOR to your editor") from None
    if status:
        raise CommandError(
            f"the editor ended with {children.ending(status)}: the key is as it was, "
            f"and your text is in {path}"
        )


def _value_in(path: Path, before: bytes) -> bytes:
    value = path.read_bytes()
    return value if before.endswith(END) else value.removesuffix(END)


def _put_if_unchanged(client: Any, key: bytes, value: bytes, revision: int, path: Path) -> Any:
    """The answer to the put. CommandError, which names the file, when the key has changed."""
    from cluster.client import ops  # noqa: PLC0415 - as connect() does

    put = ops.put(key, value, ignore_lease=revision > 0)
    try:
        result = client.txn().if_(ops.mod_revision(key) == revision).then(put).commit()
    except LeaseholdError as error:
        text = go_text(error).format(error.message)
        raise CommandError(f"{text}: your text is in {path}") from None
    if not result.succeeded:
        raise CommandError(
            f"the key has been changed meanwhile: it stays so, and your text is in {path}"
        )
    return result.responses[0]
