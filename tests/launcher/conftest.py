"""What several tests of the launcher's page share: one Chromium for all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.launcher.chromium import Chromium, chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with chromium() as started:
        yield started
