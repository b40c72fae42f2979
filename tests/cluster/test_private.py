"""Files that are opened when a process has as many descriptors as it may have."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from cluster.private import RESERVED_DESCRIPTORS, create, open_file, read, sync_directory


@contextmanager
def all_taken() -> Iterator[int]:
    """All descriptors below the soft limit are taken; the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = max(int(each.name) for each in Path("/proc/self/fd").iterdir()) + 2
    assert limit + RESERVED_DESCRIPTORS < hard
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        with suppress(OSError):
            while True:
                stack.callback(os.close, os.open("/dev/null", os.O_RDONLY))
        yield limit


def test_a_process_opens_its_files_though_connections_have_all_descriptors(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with all_taken() as limit:
        create(path).close()
        read(path).close()
        os.close(open_file(path, os.O_RDWR))
        sync_directory(tmp_path)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == limit, "raised for these alone"
        with pytest.raises(OSError, match="Too many open files"):
            os.open("/dev/null", os.O_RDONLY)
