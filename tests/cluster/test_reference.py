"""The reference page says what the docstrings say; help shows a user's names in a user's words."""

from __future__ import annotations

import pydoc
import re
from typing import Any

import pytest

from cluster import Client, aio
from cluster.client.threads import objects, recipes
from tests.cluster.reference import PAGE, written

INNER = re.compile(r"\b(?:twin|flow|flows|_flow|functools|fronted|refuse_if|tell_no_more)\b")
"""Words of the client's own parts, which mean nothing to somebody who uses it."""

ASYNCHRONOUS = re.compile(r"\b(?:await|async)\b|>>> \(client")

THREADED = [Client, objects.Lease, objects.Watch, objects.Mirror, recipes.Lock, recipes.Election]
LOOPED = [aio.Client, aio.Lease, aio.Watch, aio.Mirror, aio.Lock, aio.Election]


def help_of(kind: type[Any]) -> str:
    """What `help` shows of a class, but for where it comes from and how the client makes one."""
    lines = pydoc.plain(pydoc.render_doc(kind)).splitlines()
    apart = r"cluster\.client|typing|__init__|\(flow: "
    return "\n".join(line for line in lines if not re.search(apart, line))


def test_the_reference_says_what_the_docstrings_say() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == page, "write it again: python -m tests.cluster.reference"


@pytest.mark.parametrize("kind", THREADED + LOOPED, ids=lambda kind: kind.__qualname__)
def test_help_shows_nothing_inner(kind: type[Any]) -> None:
    assert INNER.findall(help_of(kind)) == []


@pytest.mark.parametrize("kind", THREADED, ids=lambda kind: kind.__qualname__)
def test_help_of_the_threaded_client_knows_no_asyncio(kind: type[Any]) -> None:
    assert ASYNCHRONOUS.findall(help_of(kind)) == []


@pytest.mark.parametrize("kind", THREADED + LOOPED, ids=lambda kind: kind.__qualname__)
def test_help_says_something_of_every_name(kind: type[Any]) -> None:
    names = [name for name in dir(kind) if not name.startswith("_")]
    assert [name for name in names if not getattr(kind, name).__doc__] == []
