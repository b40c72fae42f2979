"""leasectl in this process: a command line in, its outputs and its exit status out."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from cluster.cli import COMMANDS, HELP
from cluster.cli.app import PROGRAM, LazyGroup, run


class Ended(NamedTuple):
    """What a command left behind."""

    stdout: bytes
    stderr: str
    code: int


Leasectl = Callable[..., Ended]


def leasectl_for(
    endpoint: str, capture: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Leasectl:
    """A function that runs the words of a command line; `stdin` is what is piped into it."""

    def call(*arguments: str, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            code = run(LazyGroup(PROGRAM, HELP, COMMANDS), list(arguments))
        except SystemExit as ending:
            assert isinstance(ending.code, int)
            code = ending.code
        output = capture.readouterr()
        return Ended(output.out, output.err.decode(), code)

    monkeypatch.setenv("LEASECTL_ENDPOINTS", endpoint)
    return call
