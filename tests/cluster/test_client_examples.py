"""The examples in the client's documentation, run as they are shown by both shells."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import types
from collections.abc import Iterator
from doctest import DocTestParser, DocTestRunner, Example, OutputChecker
from typing import Any

import pytest

from cluster import Client, aio, ops
from cluster.client.threads import objects, recipes
from cluster.launcher.local import LocalCluster
from tests.limits import PATIENT

pytestmark = pytest.mark.process


def documented(*kinds: type[Any]) -> Iterator[tuple[str, str]]:
    """The texts with examples: of the classes, and of their public names."""
    for kind in kinds:
        texts = {kind.__name__: kind.__doc__}
        texts |= {
            f"{kind.__name__}.{name}": inspect.getdoc(getattr(kind, name))
            for name in dir(kind)
            if not name.startswith("_")
        }
        yield from ((name, text) for name, text in texts.items() if text and ">>>" in text)


FRONTS = [
    one for module in (objects, recipes) for one in vars(module).values() if inspect.isclass(one)
]
THREADED = dict(documented(Client, *FRONTS))
LOOPED = dict(documented(*[getattr(aio, n) for n in aio.__all__ if n != "Isolation"]))


def test_most_of_what_a_client_does_has_an_example() -> None:
    assert THREADED.keys() == LOOPED.keys()
    assert len(LOOPED) >= 24


@pytest.mark.parametrize("name", THREADED)
def test_the_examples_of_the_threaded_client(client: Client, name: str) -> None:
    told = io.StringIO()
    test = DocTestParser().get_doctest(
        THREADED[name], {"client": client, "ops": ops}, name, None, None
    )
    DocTestRunner(verbose=False).run(test, out=told.write)
    assert told.getvalue() == ""


@pytest.mark.parametrize("name", LOOPED)
def test_the_examples_of_the_asyncio_client(node: LocalCluster, client: Client, name: str) -> None:
    async def test() -> None:
        async with aio.Client(node.endpoints, **PATIENT) as looped:
            names: dict[str, Any] = {"client": looped, "ops": ops}
            for example in DocTestParser().get_examples(LOOPED[name]):
                said = await printed_by(example, names)
                assert OutputChecker().check_output(example.want, said, 0), said

    asyncio.run(test())


async def printed_by(example: Example, names: dict[str, Any]) -> str:
    """What an example prints in a shell in which one may await."""
    code = compile(example.source, "<example>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        result = types.FunctionType(code, names)()
        if inspect.iscoroutine(result):
            await result
    return said.getvalue()
