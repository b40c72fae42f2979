"""The loops of the front's tests."""

from __future__ import annotations

import pytest

from tests.etcd import loops


@pytest.fixture(params=loops.KINDS)
def each_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once in each kind of loop."""
    monkeypatch.setattr(loops.Chosen, "kind", request.param)
    kind: str = request.param
    return kind
