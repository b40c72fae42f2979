"""The two shells of the client have the same public names, parameters and texts."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from cluster import Client, aio
from cluster.client.threads import objects, recipes
from cluster.client.threads.blocking import finish, synchronous

PAIRS = [(Client, aio.Client)] + [
    (front, getattr(aio, name))
    for module in (objects, recipes)
    for name, front in vars(module).items()
    if inspect.isclass(front) and front.__module__ == module.__name__
]
"""Each class of the threaded client with that of the asyncio client."""

RENAMED = {"__enter__": "__aenter__", "__exit__": "__aexit__", "__next__": "__anext__"} | {
    "__iter__": "__aiter__"
}


def public(kind: type[Any]) -> dict[str, Any]:
    """The names that a program may use, those of its own protocols with them."""
    names = [name for name in dir(kind) if not name.startswith("_")]
    back = {new: old for old, new in RENAMED.items()}
    special = [name for name in back if hasattr(kind, name)]
    old = [name for name in RENAMED if hasattr(kind, name)]
    return {back.get(name, name): getattr(kind, name) for name in names + special + old}


def parameters(method: Any) -> list[tuple[str, Any, Any]]:
    """The name, the kind and the default of each parameter."""
    listed = inspect.signature(method).parameters.values()
    return [(one.name, one.kind, one.default) for one in listed]


@pytest.mark.parametrize(("threaded", "looped"), PAIRS, ids=lambda kind: kind.__name__)
def test_both_shells_have_the_same_names_parameters_and_texts(
    threaded: type[Any], looped: type[Any]
) -> None:
    ours, theirs = public(threaded), public(looped)
    assert ours.keys() == theirs.keys()
    for name, method in ours.items():
        other = theirs[name]
        assert callable(method) == callable(other), name
        if callable(method) and name not in RENAMED:
            assert parameters(method) == parameters(other), name
        if not name.startswith("_"):
            assert (method.__doc__ or "") == synchronous(other.__doc__ or ""), name
    assert threaded.__doc__ == synchronous(looped.__doc__)


def test_the_clients_are_made_alike() -> None:
    assert parameters(Client) == parameters(aio.Client)


def test_what_the_asyncio_client_exports_has_a_twin() -> None:
    twins = {looped.__name__ for _, looped in PAIRS}
    assert set(aio.__all__) - twins == {"Isolation"}, "Isolation is one class for both"


def test_a_flow_that_suspends_is_no_flow_of_a_threaded_client() -> None:
    class Suspends:
        def __await__(self) -> Any:
            yield None

    async def flow() -> None:
        await Suspends()

    with pytest.raises(AssertionError, match="never suspends"):
        finish(flow())
