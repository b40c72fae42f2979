"""The two streams of a command: bytes of results to stdout, lines of errors to stderr."""

from __future__ import annotations

import os
import sys
from errno import EAGAIN
from typing import TextIO

from cluster.cli.ending import EXIT_ERROR, EXIT_SIGPIPE


def emit(*lines: bytes, end: bytes = b"\n") -> None:
    """Write whole lines to stdout and flush them, because a reader may be following."""
    rest = memoryview(b"".join(line + end for line in lines))
    try:
        while rest:
            # Without Python's buffer (PYTHONUNBUFFERED), the system may take a part. What is wrong
            # - a full disk, a reader that is gone - it tells when the rest is written.
            taken = sys.stdout.buffer.write(rest)
            if taken is None:
                raise BlockingIOError(EAGAIN, os.strerror(EAGAIN))
            rest = rest[taken:]
        sys.stdout.buffer.flush()
    except OSError as error:
        raise SystemExit(output_failed(error)) from None


def open_missing_streams() -> None:
    """Have standard streams that were closed lead nowhere, as in Go: Python has none for them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The system gives the lowest number that is free, which is the stream's own.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


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
