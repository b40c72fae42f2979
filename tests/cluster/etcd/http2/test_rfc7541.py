"""The rules of RFC 7541 for a reader of header blocks, each as a case with its section."""

from __future__ import annotations

from typing import Final

import pytest
from hpack import Decoder as Judge
from hpack import Encoder

from cluster.etcd.http2 import encode_block
from cluster.etcd.http2.codes import COMPRESSION_ERROR, Http2Error
from cluster.etcd.http2.headers import BlockReader, Decoder
from cluster.etcd.http2.limits import BLOCKS_CACHED_MAX, HEADER_LIST_BYTES_MAX

Fields = list[tuple[bytes, bytes]]

GET: Final = (b":method", b"GET")
LONG: Final = b"x" * 200


def decoded(*blocks: bytes) -> Fields:
    """The fields of the last of these blocks, read one behind the other."""
    decoder = Decoder(HEADER_LIST_BYTES_MAX)
    entries = [decoder.decode(block) for block in blocks]
    return [entry[0] for entry in entries[-1]]


GOOD: Final[list[tuple[str, str, list[bytes], Fields]]] = [
    ("2.3.3", "the first static index", [b"\x81"], [(b":authority", b"")]),
    ("2.3.3", "the last static index", [b"\xbd"], [(b"www-authenticate", b"")]),
    ("2.3.3", "the newest dynamic index", [b"\x40\1a\1b\x40\1c\1d", b"\xbe"], [(b"c", b"d")]),
    ("2.3.3", "the oldest dynamic index", [b"\x40\1a\1b\x40\1c\1d", b"\xbf"], [(b"a", b"b")]),
    ("4.1", "an entry that just fits", [b"\x3f\x03\x40\1a\1b", b"\xbe"], [(b"a", b"b")]),
    ("4.3", "an update that keeps one", [b"\x40\1a\1b\x40\1c\1d", b"\x3f\x03\xbe"], [(b"c", b"d")]),
    ("4.4", "a name of the entry it evicts", [b"\x3f\x03\x40\1a\1b", b"\x7e\1c", b"\xbe"],
     [(b"a", b"c")]),
    ("5.1", "an integer in its prefix", [b"\0\1a\x7e" + b"b" * 126], [(b"a", b"b" * 126)]),
    ("5.1", "an integer behind its prefix", [b"\0\1a\x7f\0" + b"b" * 127], [(b"a", b"b" * 127)]),
    ("5.1", "an integer in two bytes", [b"\0\1a\x7f\x49" + LONG], [(b"a", LONG)]),
    ("5.1", "zeros that say nothing", [b"\0\1a\x7f\xc9\x80\x80\0" + LONG], [(b"a", LONG)]),
    ("5.2", "an empty string", [b"\0\1a\0"], [(b"a", b"")]),
    ("5.2", "Huffman's code", [b"\0\1a\x83\x1c\x64\x5f"], [(b"a", b"abc.")]),
    ("6.1", "an indexed field", [b"\x82"], [GET]),
    ("6.2.1", "a literal to index", [b"\x44\x02/x", b"\xbe"], [(b":path", b"/x")]),
    ("6.2.2", "a literal without indexing", [b"\x04\x02/x"], [(b":path", b"/x")]),
    ("6.2.3", "a literal never to index", [b"\x14\x02/x"], [(b":path", b"/x")]),
    ("6.2.3", "a name in two bytes", [b"\x1f\x2e\x01x"], [(b"www-authenticate", b"x")]),
    ("6.3", "two updates before the fields", [b"\x20\x3f\xe1\x1f\x82"], [GET]),
]  # fmt: skip

BAD: Final[list[tuple[str, str, list[bytes]]]] = [
    ("2.3.3", "an index behind the dynamic table", [b"\x40\1a\1b", b"\xbf"]),
    ("2.3.3", "an index behind the static table", [b"\xbe"]),
    ("4.2", "an update behind a field", [b"\x82\x20"]),
    ("4.3", "an entry that an update evicted", [b"\x40\1a\1b", b"\x20\x3f\xe1\x1f\xbe"]),
    ("4.4", "an entry too large for the table", [b"\x3f\x02\x40\1a\1b", b"\xbe"]),
    ("4.4", "what such an entry has evicted", [b"\x3f\x03\x40\1a\1b", b"\x40\1c\2dd", b"\xbe"]),
    ("5.1", "an integer without end", [b"\x04\x7f\x80\x80\x80\x80\x80\x80\1"]),
    ("5.1", "an integer that is cut off", [b"\x04\x7f\x80"]),
    ("5.1", "an index that is cut off", [b"\xff"]),
    ("5.2", "a string that is cut off", [b"\0\1a\5abc"]),
    ("5.2", "a name that is cut off", [b"\0\5a"]),
    ("5.2", "a string that is missing", [b"\0\1a"]),
    ("5.2", "padding of eight bits", [b"\0\1a\x84\x1c\x64\x5f\xff"]),
    ("5.2", "padding that is not all ones", [b"\0\1a\x81\x18"]),
    ("5.2", "the end of string in Huffman's code", [b"\0\1a\x84\xff\xff\xff\xfc"]),
    ("6.1", "index 0", [b"\x80"]),
    ("6.3", "an update above what was offered", [b"\x3f\xe2\x1f"]),
]


@pytest.mark.parametrize(
    ("blocks", "fields"), [case[2:] for case in GOOD], ids=[" ".join(case[:2]) for case in GOOD]
)
def test_a_block_is_read(blocks: list[bytes], fields: Fields) -> None:
    assert decoded(*blocks) == fields
    judge = Judge()
    assert [list(judge.decode(block, raw=True)) for block in blocks][-1] == fields


@pytest.mark.parametrize(
    "blocks", [case[2] for case in BAD], ids=[" ".join(case[:2]) for case in BAD]
)
def test_a_block_is_refused(blocks: list[bytes]) -> None:
    decoder = Decoder(HEADER_LIST_BYTES_MAX)
    for block in blocks[:-1]:
        decoder.decode(block)
    with pytest.raises(Http2Error) as refused:
        decoder.decode(blocks[-1])
    assert refused.value.code == COMPRESSION_ERROR


def test_a_list_is_measured_with_what_its_entries_cost() -> None:  # 4.1
    decoder = Decoder(HEADER_LIST_BYTES_MAX)
    decoder.decode(b"\x82\x04\x02/x")
    assert decoder.list_bytes == (32 + 7 + 3) + (32 + 5 + 2)


def test_our_blocks_are_understood_and_change_no_table() -> None:  # 6.2.3
    fields = [(b":status", b"200"), (b"grpc-message", b"a b"), (b"x", b""), (b"content-type", LONG)]
    judge = Judge()
    assert list(judge.decode(encode_block(fields), raw=True)) == fields
    assert not judge.header_table.dynamic_entries


REQUEST: Final = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/etcdserverpb.KV/Put"),
    ("user-agent", "grpc-go/1.38.0"),
]


def test_a_known_block_is_known_again_until_the_table_changes() -> None:
    encoder, reader = Encoder(), BlockReader(HEADER_LIST_BYTES_MAX)
    assert reader.request(encoder.encode(REQUEST)).path == b"/etcdserverpb.KV/Put"
    block = encoder.encode(REQUEST)
    first = reader.request(block)
    assert reader.request(block) is first
    # The same bytes mean another path when another entry stands before them.
    changed = encoder.encode([(":path", "/etcdserverpb.KV/Range")])
    assert reader.request(changed).fault
    shifted = reader.request(block)
    assert shifted is not first
    judge = Judge()
    for each in (Encoder().encode(REQUEST), changed):
        judge.decode(each)
    assert list(judge.decode(block, raw=True)) == list(shifted.headers)


def test_a_trailers_block_that_changes_the_table_makes_blocks_unknown() -> None:
    encoder, reader = Encoder(), BlockReader(HEADER_LIST_BYTES_MAX)
    reader.request(encoder.encode(REQUEST))
    block = encoder.encode(REQUEST)
    first = reader.request(block)
    assert reader.trailers(encoder.encode([("x-checksum", "1")])) == ""
    assert reader.request(block) != first


def test_blocks_that_vary_are_not_kept() -> None:
    reader = BlockReader(HEADER_LIST_BYTES_MAX)
    for number in range(BLOCKS_CACHED_MAX * 2):
        headers = [*REQUEST, ("grpc-timeout", f"{number}u")]
        reader.request(Encoder().encode([(*field, True) for field in headers]))
    assert not reader._requests
    for number in range(BLOCKS_CACHED_MAX * 2):
        headers = [*REQUEST, ("x-number", f"{number}")]
        reader.request(Encoder().encode([(*field, True) for field in headers]))
    assert len(reader._requests) <= BLOCKS_CACHED_MAX
