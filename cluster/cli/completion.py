"""leasectl completion: a script that completes leasectl's commands and flags in a shell."""

from __future__ import annotations

import os
import re
from typing import Final

import click
from click.shell_completion import get_completion_class

from cluster.cli import COMPLETION_VARIABLE
from cluster.cli.app import PROGRAM, Command
from cluster.cli.ending import bad_arguments
from cluster.cli.output import emit

_CALL: Final = re.compile(rf"({COMPLETION_VARIABLE}=.*(?:{PROGRAM}|\$1))\)")
"""Where a script runs leasectl. If that is gone, it is not the prompt that should tell."""

SHELLS: Final = ("bash", "fish", "zsh")


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="|".join(SHELLS))
@click.pass_context
def completion(context: click.Context, words: tuple[str, ...]) -> None:
    """Print a completion script for a shell: source <(leasectl completion bash)."""
    if len(words) != 1 or words[0] not in SHELLS:
        bad_arguments(f"completion command needs one argument: {', '.join(SHELLS)}")
    made = get_completion_class(words[0])
    assert made is not None, "click knows these shells"
    root = context.find_root().command
    # Not by the class's own method, which would run the shell to check its version, and complain
    # about an old one.
    script = made(root, {}, PROGRAM, COMPLETION_VARIABLE)
    text = script.source_template % script.source_vars()
    emit(_CALL.sub(rf"\1 2>{os.devnull})", text).encode(), end=b"")
