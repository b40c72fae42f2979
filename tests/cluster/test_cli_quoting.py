"""Go's quoted strings and the words of typed lines: read as etcd's users expect, written back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.cli.quoting import Quoted, quoted, read_quoted, split_words


@given(st.binary())
def test_what_is_quoted_is_read_back(raw: bytes) -> None:
    text = quoted(raw)
    assert text.isprintable()
    assert read_quoted(text) == Quoted(raw, len(text))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", '""'),
        (b'a "b" \\c', r'"a \"b\" \\c"'),
        (b"\a\b\f\n\r\t\v\0\x7f", r'"\a\b\f\n\r\t\v\x00\x7f"'),
        ("ä€\U0001f600".encode(), '"ä€\U0001f600"'),
        ("\u00a0\u2028".encode(), r'"\u00a0\u2028"'),
        (b"\xff\xc3", r'"\xff\xc3"'),
    ],
)
def test_text_is_quoted_as_go_does(raw: bytes, text: str) -> None:
    assert quoted(raw) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"\x41\102\u0043\U00000044"', b"ABCD"),
        (r"`raw \n`", rb"raw \n"),
        ('"closed" and more', b"closed"),
    ],
)
def test_escapes_and_raw_strings_are_read(text: str, value: bytes) -> None:
    found = read_quoted(text)
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize("text", ["bare", '"open', "", '"a\nb"', "'single'"])
def test_what_is_no_quoted_string_is_none(text: str) -> None:
    assert read_quoted(text) is None


@pytest.mark.parametrize(
    "text", [r'"\q"', r'"\x4"', r'"\400"', r'"\ud800"', r'"\U00110000"', r'"\'"']
)
def test_an_escape_that_go_does_not_know_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        read_quoted(text)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("put a 1", ["put", "a", "1"]),
        ("  put\ta  ", ["put", "a"]),
        (r'put "a b" "c\"d"', ["put", "a b", 'c"d']),
        (r"put 'a b' 'c\n' ''", ["put", "a b", r"c\n", ""]),
        ("put a'b c", ["put", "a'b", "c"]),
        ('put "a"b', ["put", "a", "b"]),
        ('put "open', ["put", "open"]),
        ("", []),
        ("  ", []),
    ],
)
def test_lines_are_split_as_etcdctl_does(line: str, words: list[str]) -> None:
    assert split_words(line) == words
