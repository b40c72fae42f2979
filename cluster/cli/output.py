"""The two streams of a command: results go out as bytes, complaints as lines. Asks no options."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from cluster.cli.ending import EXIT_ERROR, EXIT_SIGPIPE


def emit(*lines: bytes, end: bytes = b"\n") -> None:
    """Write whole lines to stdout, as bytes, and at once: somebody may be following."""
    try:
        sys.stdout.buffer.write(b"".join(line + end for line in lines))
        sys.stdout.buffer.flush()
    except OSError as error:
        raise SystemExit(output_failed(error)) from None


def complain(line: str) -> None:
    """Write one line to stderr; if that is full, or nobody reads it, there is nobody to tell."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)


def report(message: str, exit_code: int) -> int:
    """Write an error's line to stderr, as etcdctl does; the exit code."""
    complain(f"Error: {message}")
    return exit_code


def _discard(stream: TextIO) -> None:
    """Let what is left in its buffer go nowhere: Python writes it at its end, and would fail."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)


def output_failed(error: OSError) -> int:
    """Stdout takes no more: the exit status.

    Whoever read our output has gone (`| head`): be as quiet as a program that SIGPIPE ends. A full
    disk is an error as any other.
    """
    _discard(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return EXIT_SIGPIPE
    return report(f"write /dev/stdout: {(error.strerror or str(error)).lower()}", EXIT_ERROR)
