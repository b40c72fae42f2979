"""Bodies of requests in JSON, and what etcd's gateway makes of them.

The texts of the errors were copied from a real etcd 3.5.1, which tests/differential asks again.
"""

from __future__ import annotations

from typing import Any, Final

RANGE: Final = "/v3/kv/range"
TXN: Final = "/v3/kv/txn"
ADD: Final = "/v3/cluster/member/add"
REMOVE: Final = "/v3/cluster/member/remove"
KEEP_ALIVE: Final = "/v3/lease/keepalive"

_VALUE: Final = "looking for beginning of value"
_KEY: Final = "looking for beginning of object key string"
_MAP: Final = "map[string]json.RawMessage"
_LIST: Final = "[]json.RawMessage"
_ENUM: Final = "protoreflect.EnumNumber"


def _character(shown: str, where: str) -> str:
    return f"invalid character '{shown}' {where}"


def _kind(value: str, wanted: str) -> str:
    return f"json: cannot unmarshal {value} into Go value of type {wanted}"


def _base64(position: int) -> str:
    return f"illegal base64 data at input byte {position}"


COMPARED: Final = {"key": b"a", "range_end": b""}

NO_JSON: Final[list[tuple[bytes, str]]] = [
    (b"x", _character("x", _VALUE)),
    (b"\xef\xbb\xbf{}", _character("ï", _VALUE)),
    (b"\x00", _character(r"\x00", _VALUE)),
    (b"\x7f", _character(r"\u007f", _VALUE)),
    (b"}", _character("}", _VALUE)),
    (b"nul", "unexpected EOF"),
    (b"nulx", _character("x", "in literal null (expecting 'l')")),
    (b"fals!", _character("!", "in literal false (expecting 'e')")),
    (b"{", "unexpected EOF"),
    (b'{"key"', "unexpected EOF"),
    (b'{"key":', "unexpected EOF"),
    (b'{"key":"YQ==', "unexpected EOF"),
    (b'{"key":"YQ=="', "unexpected EOF"),
    (b'{"a":[', "unexpected EOF"),
    (b'{"a":[1,2', "unexpected EOF"),
    (b'{"a":"\\', "unexpected EOF"),
    (b'{"a":"\\u12', "unexpected EOF"),
    (b"[1", "unexpected EOF"),
    (b"-", "unexpected EOF"),
    (b"{,}", _character(",", _KEY)),
    (b'{"a":1,}', _character("}", _KEY)),
    (b"{'a':1}", _character(r"\'", _KEY)),
    (b'{"a" "b"}', _character('"', "after object key")),
    (b'{"a":1 "b":2}', _character('"', "after object key:value pair")),
    (b'{"a":{"b":1]}', _character("]", "after object key:value pair")),
    (b'{"a":[1 2]}', _character("2", "after array element")),
    (b'{"a":[1}}', _character("}", "after array element")),
    (b'{"a":[1,]}', _character("]", _VALUE)),
    (b'{"a":[,1]}', _character(",", _VALUE)),
    (b'{"a":01}', _character("1", "after object key:value pair")),
    (b'{"a":-}', _character("}", "in numeric literal")),
    (b'{"a":-Infinity}', _character("I", "in numeric literal")),
    (b'{"a":NaN}', _character("N", _VALUE)),
    (b'{"a":Infinity}', _character("I", _VALUE)),
    (b'{"a":.5}', _character(".", _VALUE)),
    (b'{"a":+5}', _character("+", _VALUE)),
    (b'{"a":1.}', _character("}", "after decimal point in numeric literal")),
    (b'{"a":1e}', _character("}", "in exponent of numeric literal")),
    (b'{"a":1e+x}', _character("x", "in exponent of numeric literal")),
    (b'{"a":"\\x"}', _character("x", "in string escape code")),
    (b'{"a":"\\u12g4"}', _character("g", r"in \u hexadecimal character escape")),
    (b'{"a":"\t"}', _character(r"\t", "in string literal")),
    (b'{"a":"\n"}', _character(r"\n", "in string literal")),
    (b'{"a":\xe9}', _character("é", _VALUE)),
    (b'{"a":tru"}', _character('"', "in literal true (expecting 'e')")),
    (b"1e", "unexpected EOF"),
    (b"1.x", _character("x", "after decimal point in numeric literal")),
    (b"[]", _kind("array", _MAP)),
    (b'"a"', _kind("string", _MAP)),
    (b"5", _kind("number", _MAP)),
    (b"5x", _kind("number", _MAP)),
    (b"true", _kind("bool", _MAP)),
]
"""Bodies that are refused whatever the request."""

WRONG_FIELDS: Final[list[tuple[str, bytes, str]]] = [
    (RANGE, b'{"key":"@@"}', _base64(0)),
    (RANGE, b'{"key":"YQ"}', _base64(0)),
    (RANGE, b'{"key":"YWJjZA"}', _base64(4)),
    (RANGE, b'{"key":"YQ="}', _base64(3)),
    (RANGE, b'{"key":"Y Q=="}', _base64(1)),
    (RANGE, b'{"key":"YQ==="}', _base64(4)),
    (RANGE, b'{"key":"YQ==YQ=="}', _base64(4)),
    (RANGE, b'{"key":"YWJj="}', _base64(4)),
    (RANGE, b'{"key":"="}', _base64(0)),
    (RANGE, b'{"key":"Y==="}', _base64(1)),
    (RANGE, b'{"key":"YQ=x"}', _base64(2)),
    (RANGE, b'{"key":"YQ-_"}', _base64(2)),
    (RANGE, '{"key":"aé=="}'.encode(), _base64(1)),
    (RANGE, b'{"key":"YWJj\\nYQ=\\n"}', _base64(9)),
    (RANGE, b'{"key":"YWJj\\nY!"}', _base64(6)),
    (RANGE, b'{"key":5}', _kind("number", "[]uint8")),
    (RANGE, b'{"key":true}', _kind("bool", "[]uint8")),
    (RANGE, b'{"key":{}}', _kind("object", "[]uint8")),
    (RANGE, b'{"key":[97,300]}', _kind("number 300", "uint8")),
    (RANGE, b'{"key":[97,-1]}', _kind("number -1", "uint8")),
    (RANGE, b'{"key":[97,"x"]}', _kind("string", "uint8")),
    (RANGE, b'{"key":[[]]}', _kind("array", "uint8")),
    (RANGE, b'{"limit":"x"}', _character("x", _VALUE)),
    (RANGE, b'{"limit":""}', "unexpected end of JSON input"),
    (RANGE, b'{"limit":"1 2"}', _character("2", "after top-level value")),
    (RANGE, b'{"limit":"1\xff"}', _character("ÿ", "after top-level value")),
    (RANGE, b'{"limit":"1\\ud800"}', _character("\\\\", "after top-level value")),
    (RANGE, b'{"limit":"1e"}', _character(" ", "in exponent of numeric literal")),
    (RANGE, b'{"limit":"1e2"}', _kind("number 1e2", "int64")),
    (RANGE, b'{"limit":"[1]"}', _kind("array", "int64")),
    (RANGE, b'{"limit":"01"}', _character("1", "after top-level value")),
    (RANGE, b'{"limit":"+1"}', _character("+", _VALUE)),
    (RANGE, b'{"limit":true}', _kind("bool", "int64")),
    (RANGE, b'{"limit":[1]}', _kind("array", "int64")),
    (RANGE, b'{"limit":{}}', _kind("object", "int64")),
    (RANGE, b'{"limit":1.5}', _kind("number 1.5", "int64")),
    (RANGE, b'{"limit":1e2}', _kind("number 1e2", "int64")),
    (RANGE, b'{"limit":9223372036854775808}', _kind("number 9223372036854775808", "int64")),
    (RANGE, b'{"limit":-9223372036854775809}', _kind("number -9223372036854775809", "int64")),
    (RANGE, b'{"serializable":"true"}', _kind("string", "bool")),
    (RANGE, b'{"serializable":1}', _kind("number", "bool")),
    (RANGE, b'{"sort_order":true}', _kind("bool", _ENUM)),
    (RANGE, b'{"sort_order":[]}', _kind("array", _ENUM)),
    (RANGE, b'{"sort_order":1.5}', _kind("number 1.5", _ENUM)),
    (RANGE, b'{"sort_order":99999999999}', _kind("number 99999999999", _ENUM)),
    (
        RANGE,
        b'{"sort_order":"UP"}',
        r'unknown value "\"UP\"" for enum etcdserverpb.RangeRequest.SortOrder',
    ),
    (
        RANGE,
        '{"sort_target":"<é&\u200b>"}'.encode(),
        """unknown value "\\"<é&\\u200b>\\"" for enum etcdserverpb.RangeRequest.SortTarget""",
    ),
    (
        RANGE,
        b'{"sort_order":"\xffUP"}',
        r'unknown value "\"\xffUP\"" for enum etcdserverpb.RangeRequest.SortOrder',
    ),
    (RANGE, b'{"limit":[],"key":5}', _kind("number", "[]uint8")),
    (TXN, b'{"success":{}}', _kind("object", _LIST)),
    (TXN, b'{"success":[5]}', _kind("number", _MAP)),
    (TXN, b'{"success":[{"request_range":"x"}]}', _kind("string", _MAP)),
    (
        TXN,
        b'{"compare":[{"target":"COUNT"}]}',
        r'unknown value "\"COUNT\"" for enum etcdserverpb.Compare.CompareTarget',
    ),
    (ADD, b'{"peerURLs":"x"}', _kind("string", _LIST)),
    (ADD, b'{"peerURLs":[5]}', _kind("number", "string")),
    (ADD, b'{"isLearner":[]}', _kind("array", "bool")),
    (REMOVE, b'{"ID":-1}', _kind("number -1", "uint64")),
    (REMOVE, b'{"ID":"-0"}', _kind("number -0", "uint64")),
    (REMOVE, b'{"ID":"18446744073709551616"}', _kind("number 18446744073709551616", "uint64")),
]
"""Bodies that are refused for a field of the request at this path."""

READ: Final[list[tuple[str, bytes, dict[str, Any]]]] = [
    (RANGE, b"", {}),
    (RANGE, b" \r\n\t", {}),
    (RANGE, b"null", {}),
    (RANGE, b"nullx", {}),
    (RANGE, b' {"key":"YQ=="} trailing {', {"key": b"a"}),
    (
        RANGE,
        b'{"key":"YWI=","rangeEnd":"AA==","limit":"7"}',
        {
            "key": b"ab",
            "range_end": b"\0",
            "limit": 7,
        },
    ),
    (
        RANGE,
        b'{"key":"YQ==","range_end":"Yg==","rangeEnd":"Yw=="}',
        {
            "key": b"a",
            "range_end": b"c",
        },
    ),
    (RANGE, b'{"key":"YQ==","key":"eg=="}', {"key": b"z"}),
    (RANGE, b'{"key":"YQ=\\n="}', {"key": b"a"}),
    (RANGE, b'{"key":"YR=="}', {"key": b"a"}),
    (RANGE, b'{"key":"YWJj\\r\\nZGVm"}', {"key": b"abcdef"}),
    (RANGE, b'{"key":"\\u0059\\u0051=="}', {"key": b"a"}),
    (RANGE, b'{"key":[97,null,98]}', {"key": b"a\0b"}),
    (RANGE, b'{"key":"","limit":" 7 ","revision":"null","count_only":false}', {"limit": 7}),
    (RANGE, b'{"limit":-0,"keysOnly":true,"serializable":null}', {"keys_only": True}),
    (RANGE, b'{"limit":-9223372036854775808}', {"limit": -(1 << 63)}),
    (RANGE, b'{"sort_order":"DESCEND","sort_target":4}', {"sort_order": 2, "sort_target": 4}),
    (RANGE, b'{"sort_order":"NONE","KEY":"x","foo":{"bar":[1.5e3,"\\ud800"]}}', {}),
    (RANGE, b'{"\\ud800":1,"k\\u0065y":"YQ=="}', {"key": b"a"}),
    (TXN, b'{"success":null,"compare":[]}', {}),
    (TXN, b'{"success":[null,{},{"request_range":null}]}', {"success": [{}, {}, {}]}),
    (
        TXN,
        b'{"success":[{"request_put":{"key":"YQ=="},"requestRange":{}}]}',
        {"success": [{"request_put": {"key": b"a"}}]},
    ),
    (
        TXN,
        b'{"compare":[{"target":"VALUE","result":"GREATER","value":"","key":"YQ=="}]}',
        {"compare": [{"target": 3, "result": 1, "value": b"", **COMPARED}]},
    ),
    (
        TXN,
        b'{"compare":[{"key":"YQ==","version":0,"modRevision":"3"}]}',
        {"compare": [{"target": 0, "result": 0, "version": 0, **COMPARED}]},
    ),
    (
        ADD,
        b'{"peerURLs":["a\\u00e9\\ud83d\\ude00\\ud800\xff",null]}',
        {
            "peerURLs": ["aé\U0001f600\ufffd\ufffd", ""],
        },
    ),
    (REMOVE, b'{"ID":18446744073709551615}', {"ID": (1 << 64) - 1}),
    (REMOVE, b'{"id":5}', {}),
    (KEEP_ALIVE, b'{"ID":"5"}', {"ID": 5}),
]
"""Bodies that are read, and the fields of the request."""
