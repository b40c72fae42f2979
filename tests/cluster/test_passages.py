"""What a front tells its node of those whom it passes on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from cluster.passages import PassageBook, PassageTeller, open_pipe


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    pipe = open_pipe()
    yield pipe
    for end in pipe:
        os.close(end)


def test_a_client_is_known_by_the_port_of_its_connection_to_the_node(ends: tuple[int, int]) -> None:
    book, teller = PassageBook(ends[0]), PassageTeller(ends[1])
    assert book.client_at(40_000) == ""
    for port, address in ((40_000, "10.0.0.9:1"), (40_001, "[::1]:2"), (40_000, "10.0.0.9:3")):
        assert teller.tell(port, address)
    assert book.client_at(40_001) == "[::1]:2"
    assert book.client_at(40_000) == "10.0.0.9:3", "the later connection from the same port"
    assert book.client_at(40_000) == "", "it is asked for once"


def test_a_line_that_has_come_in_part_waits_for_its_rest(ends: tuple[int, int]) -> None:
    book = PassageBook(ends[0])
    os.write(ends[1], b"40000 10.0.0.9:1\n40001 10.0")
    assert (book.client_at(40_000), book.client_at(40_001)) == ("10.0.0.9:1", "")
    os.write(ends[1], b".0.8:2\n")
    assert book.client_at(40_001) == "10.0.0.8:2"


def test_a_full_pipe_is_said_and_has_room_again_when_it_was_read(ends: tuple[int, int]) -> None:
    book, teller = PassageBook(ends[0]), PassageTeller(ends[1])
    while teller.tell(40_000, "10.0.0.9:1"):
        pass
    book.read()
    assert teller.tell(40_001, "10.0.0.8:2")
    assert book.client_at(40_001) == "10.0.0.8:2"
