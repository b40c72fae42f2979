"""The backends that each test of the store may ask for, and the disk's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.store.disk.backend import LmdbBackend
from actors.store.storage import Backend
from tests.store.driver import Driver
from tests.twins import MemoryBackend


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store's file goes."""
    return tmp_path / "store.lmdb"


@pytest.fixture(params=["memory", "lmdb"])
def backend(request: pytest.FixtureRequest, path: Path) -> Iterator[Backend]:
    """A new backend: the disk and its twin must behave alike."""
    made: Backend = MemoryBackend() if request.param == "memory" else LmdbBackend(path)
    yield made
    made.close()


@pytest.fixture
def driver(backend: Backend) -> Driver:
    """A machine on a new backend, and its log."""
    return Driver(backend)
