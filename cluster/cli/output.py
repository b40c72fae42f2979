"""The two streams of a command: bytes of results to stdout, lines of errors to stderr."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from cluster.cli.ending import EXIT_ERROR, EXIT_SIGPIPE


def emit(*lines: bytes, end: bytes = b"\n") -> None:
    """Write whole lines to stdout and flush them, because a reader may be following."""
    try:
        sys.stdout.buffer.write(b"".join(line + end for line in lines))
        sys.stdout.buffer.flush()
    except OSError as error:
        raise SystemExit(output_failed(error)) from None


def complain(line: str) -> None:
    """Write one line to stderr; an error of stderr itself is ignored."""
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
    """Point a stream to /dev/null: Python flushes its buffer at exit, and would fail again."""
    # By the descriptor: the stream object stays as it is, with its unwritten buffer.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)


def output_failed(error: OSError) -> int:
    """A write to stdout has failed; the exit status.

    If the reader is gone (`| head`), end in silence, like a program that SIGPIPE ends. A full disk
    is reported like other errors.
    """
    _discard(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return EXIT_SIGPIPE
    return report(f"write /dev/stdout: {(error.strerror or str(error)).lower()}", EXIT_ERROR)
