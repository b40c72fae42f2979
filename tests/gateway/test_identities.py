"""Who a request comes from: by token, by the key of its connection, by a certificate's name."""

from __future__ import annotations

from typing import Any

import pytest

from actors.gateway import identities
from actors.gateway.fields import RefusedError
from actors.gateway.identities import Identities
from actors.gateway.tokens import Token, seal
from actors.language.auth import NOBODY, UNKNOWN, AuthNews, AuthState, Principal, User

SECRET, FRONT = b"s" * 32, b"known to the front"
TTL = 300
ONE = (b"\0one",)
KEY = b"k" * 32
ANN = User(7, "ann", b"hash", (KEY,))


class Desk:
    """Identities at a time that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1_000
        self.identities = Identities(lambda: self.now_s, TTL, FRONT)
        self.identities.keys = {b"\0one": KEY, b"\0two": b"x" * 32}

    def learn(self, *users: tuple[int, User | None], **state: Any) -> None:
        known = {"enabled": True, "revision": 5, "secret": SECRET, **state}
        self.identities.learn(AuthNews(AuthState(**known), users, is_whole=False))

    def of(self, connection: tuple[bytes, ...] = (b"\0other",), **fields: Any) -> Principal:
        self.identities.look()
        found = self.identities.of(connection, fields)
        assert fields == {}, "what says who asks is no field of the operation"
        return found


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.learn((7, ANN))
    return desk


def token(user_id: int = 7, shown_at: int = 3, ends_s: int = 1_000 + TTL) -> str:
    return seal(SECRET, Token(user_id, shown_at, ends_s))


def test_a_token_says_who_asks_and_since_when(desk: Desk) -> None:
    assert desk.of(token=token()) == Principal(7, 3)
    assert desk.of(ONE, token=token(8)) == Principal(8, 3), "it counts before the connection"


@pytest.mark.parametrize("text", ["", "nonsense", token(ends_s=1_000), token()[:-2] + "AA"])
def test_a_token_that_is_worth_nothing_is_somebody_unknown(desk: Desk, text: str) -> None:
    assert desk.of(ONE, token=text) == UNKNOWN


def test_the_life_of_a_token_begins_again_with_each_use(desk: Desk) -> None:
    used, unused = token(), token(8)
    for _ in range(3):
        assert desk.of(token=used) == Principal(7, 3)
        desk.now_s += TTL - 1
    assert desk.of(token=used) == Principal(7, 3)
    assert desk.of(token=unused) == UNKNOWN
    desk.now_s += TTL
    assert [desk.of(token=used) for _ in range(2)] == [UNKNOWN, UNKNOWN]


def test_the_tokens_that_are_known_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "TOKENS_KEPT_MAX", 2)
    oldest, second, third = token(1, ends_s=1_001), token(2, ends_s=1_001), token(3)
    desk.of(token=oldest)
    desk.now_s += 0
    for text in (second, third):
        desk.of(token=text)
    desk.now_s += 2
    assert desk.of(token=second) == Principal(2, 3)
    assert desk.of(token=oldest) == UNKNOWN, "its use is forgotten, and its own time is over"


def test_tokens_end_with_their_secret(desk: Desk) -> None:
    text = token()
    assert desk.of(token=text) == Principal(7, 3)
    desk.learn(secret=b"t" * 32)
    assert desk.of(token=text) == UNKNOWN


def test_while_requests_are_not_checked_no_token_matters(desk: Desk) -> None:
    desk.learn(enabled=False, secret=b"")
    assert not desk.identities.are_asked
    assert desk.of(token="nonsense") == desk.of(token=token()) == NOBODY


def test_the_key_of_a_connection_stands_for_its_user_as_long_as_it_is_the_users(
    desk: Desk,
) -> None:
    assert desk.of(ONE) == Principal(7, 5)
    assert desk.of((b"\0two",)) == desk.of() == NOBODY
    desk.learn((7, ANN._replace(keys=())), (8, User(8, "bob", b"", (KEY,))), revision=6)
    assert desk.of(ONE) == Principal(8, 6)
    desk.learn((8, None))
    assert desk.of(ONE) == NOBODY


def test_the_front_alone_may_name_the_user_of_a_certificate(desk: Desk) -> None:
    assert desk.of(common_name="ann", front=FRONT) == Principal(7, 5)
    assert desk.of(common_name="eve", front=FRONT) == NOBODY
    assert desk.of(common_name="ann", front=FRONT, token=token(8)) == Principal(8, 3)
    for secret in ({}, {"front": b""}, {"front": b"guessed"}, {"front": "text"}, {"front": None}):
        with pytest.raises(RefusedError, match="own front"):
            desk.identities.of(ONE, {"common_name": "ann", **secret})
    without = Identities(lambda: 0)
    with pytest.raises(RefusedError, match="own front"):
        without.of(ONE, {"common_name": "ann", "front": b""})


@pytest.mark.parametrize("field", ["token", "common_name"])
def test_who_asks_is_said_in_text(desk: Desk, field: str) -> None:
    with pytest.raises(RefusedError, match=f'"{field}" must be text, not int'):
        desk.identities.of(ONE, {field: 5})


def test_whole_news_replace_all_that_was_known(desk: Desk) -> None:
    bob = User(8, "bob", b"")
    desk.identities.learn(AuthNews(AuthState(True, 9, SECRET), ((8, bob),), is_whole=True))
    assert desk.of(ONE) == NOBODY
    assert desk.of(common_name="bob", front=FRONT) == Principal(8, 9)
