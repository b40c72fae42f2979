"""What may differ between etcdctl's output and leasectl's: by nature, and on purpose.

MASKS are values that no two runs share, and what the programs call themselves. HABITS are what
etcdctl does with every command, and we do not. ON_PURPOSE are single command lines; each must
differ, or its entry is stale. What differs between etcd and a front, with etcdctl on both sides,
is in `cli_front`.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Outcome(NamedTuple):
    """What a command left behind: its output, and the exit code that a shell sees."""

    stdout: str
    stderr: str
    code: int


class Mask(NamedTuple):
    """A pattern, and what stands for it in both outputs."""

    what: str
    pattern: re.Pattern[str]
    stands: str


class Purpose(NamedTuple):
    """Command lines (by the text of the step) that differ on purpose, and why."""

    pattern: re.Pattern[str]
    reason: str


def _masks(*rows: tuple[str, str, str]) -> tuple[Mask, ...]:
    return tuple(Mask(what, re.compile(pattern, re.MULTILINE), to) for what, pattern, to in rows)


MASKS: Final = _masks(
    ("names of the programs", r"\b(etcdctl|leasectl)\b", "<program>"),
    ("versions", r'(?<=version: )[\d.]+|(?<="version":")[\d.]+|(?<="Version" : ")[\d.]+', "<v>"),
    ("versions", r"(?<=API version: )[\d.]+", "<v>"),
    (
        "ids in JSON",
        r'("(cluster_id|member_id|leader|ID|id|lease)":)"?[1-9a-f][0-9a-f]{4,}"?',
        r"\1<id>",
    ),
    ("ids in fields", r'("(ClusterID|MemberID|Leader|ID|Lease)" : )[1-9]\d{4,}', r"\1<id>"),
    ("ids of leases and members", r"\b(?=[0-9a-f]*\d)(?!0{10})[0-9a-f]{13,16}\b", "<id>"),
    ("ids shorter than their column", r"\b(Member|cluster|from|to) +(?=<id>)", r"\1 "),
    ("terms", r'("raft_term":|"raftTerm":|"RaftTerm" : )[1-9]\d*', r"\1<n>"),
    ("raft indexes", r'("raftIndex":|"raftAppliedIndex":)\d+', r"\1<n>"),
    ("raft indexes", r'("RaftIndex" : |"RaftAppliedIndex" : )\d+', r"\1<n>"),
    ("sizes", r'("dbSize":|"dbSizeInUse":|"totalSize":|"DBSize" : |"Size" : )\d+', r"\1<n>"),
    ("hashes", r'("hash":|"Hash" : )\d+', r"\1<n>"),
    ("times", r'(took = |"took":"|"Took" : )[\d.]+(ns|µs|ms|s)', r"\1<time>"),
    ("time that is left", r"remaining\(\d+s\)", "remaining(<n>s)"),
    ("time that is left", r'"ttl":\d+', '"ttl":<n>'),
    ("time that is left", r'"TTL" : \d+(?=\n"GrantedTTL")', '"TTL" : <n>'),
    (
        "rows of status",
        r"^(\S+, <id>), [\d.]+, [\d.]+ \w?B, (\w+), (\w+), \d+, \d+, \d+, ",
        r"\1, \2, \3, ",
    ),
    ("rows of hashes", r"^(\S+:\d+), \d+$", r"\1, <n>"),
    ("rows of snapshots", r"^[0-9a-f]+, (\d+), \d+, [\d.]+ \w?B$", r"<hash>, \1, <n>, <size>"),
    (
        "cells of status",
        r"^(\|\S+\|<id>\|)[\d.]+\|[\d.]+ \w?B\|(\w+)\|(\w+)\|\d+\|\d+\|\d+\|",
        r"\1\2|\3|",
    ),
    ("cells of health", r"\|[\d.]+(ns|µs|ms|s)\|", "|<time>|"),
    ("cells of hashes", r"^(\|[^|]*:\d+\|)\d+\|$", r"\1<n>|"),
    ("cells of snapshots", r"^\|[0-9a-f]+\|(\d+)\|\d+\|[\d.]+ \w?B\|$", r"|<hash>|\1|<n>|<size>|"),
    ("sizes", r'("totalKey":|"Keys" : )\d+', r"\1<n>"),
    ("names of members", r'(, |"name":"|"Name" : "|\|)(etcd|n1)(?=[,"|])', r"\1<name>"),
    ("members in the order of their ids", r'(ETCD_INITIAL_CLUSTER=)"[^"]*"', r"\1<members>"),
    ("addresses", r"(http|tcp)://127\.0\.0\.1:\d{4,}", "<url>"),
    ("addresses", r"127\.0\.0\.1:\d{4,}", "<endpoint>"),
)

HABITS: Final = _masks(
    (
        "snapshot files are said to be etcdutl's business, and its log is on stderr",
        r"^Deprecated: Use `etcdutl .*\n\n|^\d{4}-\d\d-\d\dT\S+\tinfo\t.*\n",
        "",
    ),
    (
        "the client's log on stderr, which etcd's users dislike",
        r'^\{"level":.*\n',
        "",
    ),
    (
        "a wrong flag prints the whole help on stdout, and the error twice",
        r"\A(?:NAME|Usage):\n[\s\S]*?(?=^Error: |\Z)",
        "",
    ),
    (
        "a wrong flag prints the whole help on stdout, and the error twice",
        r"\A(Error: [^\n]*\n)(Run '.*\n)?\n?\1\Z",
        r"\1",
    ),
    (
        "a deadline that has passed does not say whose",
        r"context deadline exceeded: no endpoint answered(?: within [\d.]+ s)? \([^)]*\)",
        "context deadline exceeded",
    ),
    ("help is worded and laid out by other libraries", r"\AUsage: <program>[\s\S]*", ""),
    ("a crash of etcdctl tells addresses in memory", r"^\ngoroutine \d+ \[[\s\S]*", ""),
    ("a crash of etcdctl tells addresses in memory", r"^\[signal SIG.*\n", ""),
    ("a prompt without a terminal has `stty` complain", r"^stty: .*\n", ""),
    ("an unknown command is reported twice", r"^Run '<program> --help' for usage\.\n", ""),
)


def purposes(*rows: tuple[str, str]) -> tuple[Purpose, ...]:
    """Patterns of command lines, each with its reason."""
    return tuple(Purpose(re.compile(pattern), reason) for pattern, reason in rows)


ON_PURPOSE: Final = purposes(
    (
        r"^watch -i -w table( <<|$)",
        "`watch -w table` is refused at once; etcdctl refuses it at the first event",
    ),
    (
        r'txn .*<< ver\("a"\) >=',
        "an unknown operator in a compare is an error that names it; etcdctl panics",
    ),
    (
        r'txn .*<< lease\("a"\)',
        "a compare of a lease takes the id in hexadecimal, as in 3.8; etcdctl 3.5 panics",
    ),
    (
        r"^txn << get '",
        "words in single quotes are read whole; etcdctl 3.5 cuts them at the wrong place",
    ),
    (
        r"^member list --hex -w (json|fields)$",
        "`member list --hex` prints `clientURLs`, ids in hexadecimal; etcdctl 3.5 misspells it",
    ),
    (r"--peer-urls=nonsense$", "the error for a wrong peer URL names the schemes of Leasehold"),
    (
        r"^endpoint hashkv -w json$",
        "`endpoint hashkv -w json` prints `hash_revision`, as etcd 3.6 does",
    ),
    (
        r"^alarm disarm -w fields$",
        "`alarm disarm -w fields` works; etcdctl 3.5 panics",
    ),
    (
        r"^snapshot restore <scratch>/snapshot --data-dir <",
        "`snapshot restore` says when it is done",
    ),
)


def masked(text: str) -> str:
    """The text without what may differ by nature or habit."""
    text = _with_narrow_tables(text)
    for mask in (*MASKS, *HABITS):
        text = mask.pattern.sub(mask.stands, text)
    return text


def purpose_of(step: str, purposes: tuple[Purpose, ...]) -> Purpose | None:
    """Why a command line may differ, if it may."""
    return next((one for one in purposes if one.pattern.search(step)), None)


def _with_narrow_tables(text: str) -> str:
    """Tables without the blanks and rules whose length depends on the cells."""
    return "\n".join(map(_narrow, text.split("\n")))


def _narrow(line: str) -> str:
    if line.startswith("+-"):
        return re.sub("-+", "-", line)
    if line.startswith("|"):
        return "|".join(cell.strip() for cell in line.split("|"))
    return line
