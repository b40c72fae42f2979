"""A real load with kills on the way: the text of the Python standard library."""

from __future__ import annotations

import pytest

from tests.chaos import stdlib_import


@pytest.mark.campaign
def test_library_survives_kills_of_two_leaders_and_a_follower() -> None:
    files = stdlib_import.library(1_000)
    report = stdlib_import.run(files)
    assert report.files == len(files) >= 500
    assert len(report.killed) == 3
    assert report.events_per_watcher == len(files)
    assert report.largest_bytes > 500_000
