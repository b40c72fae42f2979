"""Passwords and tokens: only what was made here is taken, and only with its secret."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.gateway.passwords import fits, hash_of_none, hash_password
from actors.gateway.tokens import Token, seal, unseal

SECRET = bytes(range(32))
TOKEN = Token(7, 3, 1_000)


def test_only_the_password_fits_its_hash() -> None:
    hashed = hash_password("päss", b"salt")
    assert fits("päss", hashed)
    assert not fits("pass", hashed)
    assert not fits("", hashed)
    assert hash_password("päss", b"other") != hashed
    assert not fits("päss", hash_of_none())


@pytest.mark.parametrize(
    "hashed",
    [
        b"",
        b"\xc1",
        msgpack.packb(1),
        msgpack.packb((40, 8, 1, b"salt", b"made")),
        msgpack.packb((14, 2**30, 1, b"salt", b"made")),
        msgpack.packb((14, 8, 1, "salt", b"made")),
        msgpack.packb((14, 8, 1, b"salt", "made")),
    ],
)
def test_nothing_fits_what_is_no_hash(hashed: bytes) -> None:
    assert not fits("", hashed)


def test_a_token_is_read_with_its_secret_only() -> None:
    text = seal(SECRET, TOKEN)
    assert unseal(SECRET, text) == TOKEN
    assert unseal(bytes(32), text) is None


@given(st.integers(0, 53), st.characters(codec="ascii"))
def test_a_token_with_another_character_is_none(place: int, other: str) -> None:
    text = seal(SECRET, TOKEN)
    place %= len(text)
    changed = text[:place] + other + text[place + 1 :]
    found = unseal(SECRET, changed)
    # The last character has spare bits: another one there may stand for the same bytes.
    assert found is None or changed == text or place == len(text) - 1


@given(st.text(max_size=200))
def test_any_text_is_none(text: str) -> None:
    assert unseal(SECRET, text) is None
