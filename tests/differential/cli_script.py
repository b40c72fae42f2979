"""What is typed at etcdctl and at leasectl: one script, run from top to bottom on an empty store.

`lines` are command lines, with `NAME=text` for the environment before them and `=> name` after one
whose output shows an id that is called `<name>` from then on. `piped` is one with standard input,
`following` one that goes on while others are typed, until it has printed so many lines.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from typing import Final, NamedTuple


class Step(NamedTuple):
    """One command line. `remember` names the first id of its output."""

    words: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    stdin: str = ""
    remember: str = ""
    meanwhile: tuple[Step, ...] = ()
    lines_before: int = 0
    lines_in_all: int = 0

    @property
    def is_following(self) -> bool:
        """Whether it goes on by itself, until it is interrupted."""
        return self.lines_in_all > 0

    def __str__(self) -> str:
        variables = [f"{name}={value}" for name, value in self.environment]
        line = " ".join(map(_shown, [*variables, *self.words]))
        return f"{line} << {self.stdin.strip()}" if self.stdin else line


def _shown(word: str) -> str:
    """A word as one would type it; a name in angle brackets is not the shell's."""
    return word if re.fullmatch(r"[\w./<>=:,-]+", word) else shlex.quote(word)


def lines(text: str) -> tuple[Step, ...]:
    """A command line in each line; empty ones and comments are for the reader."""
    typed = (line.strip() for line in text.splitlines())
    return tuple(_step(line) for line in typed if line and not line.startswith("#"))


def piped(line: str, stdin: str) -> tuple[Step, ...]:
    """A command line and what is piped into it."""
    return (_step(line)._replace(stdin=stdin),)


def block(text: str) -> str:
    """Standard input of many lines, written below one another and indented as one likes."""
    return textwrap.dedent(text).removeprefix("\n")


def following(line: str, meanwhile: str, before: int, in_all: int) -> tuple[Step, ...]:
    """Begin one command, type others when it has printed `before` lines, interrupt it after all."""
    others = lines(meanwhile)
    return (_step(line)._replace(meanwhile=others, lines_before=before, lines_in_all=in_all),)


def _step(line: str) -> Step:
    command, arrow, name = line.partition(" => ")
    words = shlex.split(command)
    environment = []
    while words[0].partition("=")[0].isupper():
        variable, _, value = words.pop(0).partition("=")
        environment.append((variable, value))
    return Step(tuple(words), tuple(environment), remember=name.strip() if arrow else "")


NOWHERE: Final = "--endpoints=127.0.0.1:1 --dial-timeout=300ms --command-timeout=300ms"
"""A port where nothing listens, and no long wait for it."""

PUT_AND_GET: Final = (
    *lines(f"""
    get a
    get a -w json
    get a -w fields
    get a --keepalive-time=2s
    put a 1
    put a 2 --prev-kv
    put b "two words" -w json
    put b 3 --prev-kv -w json
    put c 4 -w fields
    put c 5 --prev-kv -w fields
    put new 1 --prev-kv
    put new 1 --prev-kv=false -w json
    put c ''
    put d -- -6
    put -- e -7
    put 'key with spaces' 'ä "quoted" \\ value'
    get 'key with spaces' -w fields
    get c
    get c -w json
    get c -w fields
    get d -w json
    get a --hex
    get a --hex=true -w fields
    get a --hex -w json
    get a b
    get a z
    get a b c
    get '' --prefix
    get '' --from-key --keys-only
    get k --prefix --keys-only
    get b --from-key --limit 2
    get b --from-key --limit=2 -w json
    get b --from-key --limit=-2 -w fields
    get a --print-value-only
    get '' --prefix --print-value-only
    get '' --prefix --keys-only --print-value-only
    get '' --prefix --count-only -w fields
    get nothing --count-only -w fields
    get '' --prefix --order=DESCEND
    get '' --prefix --order=ascend --sort-by=VALUE
    get '' --prefix --order=DESCEND --sort-by=version --keys-only
    get '' --prefix --sort-by=CREATE --order=DESCEND --limit=3 -w json
    get '' --prefix --sort-by=MODIFY --order=ASCEND --keys-only
    get '' --prefix --sort-by=key --keys-only
    get '' --prefix --sort-by=VALUE
    get a --rev=2
    get a --rev=3 -w json
    get '' --prefix --rev=4 -w fields
    get a --rev=-3
    get a --consistency=s
    get a --consistency=l
    get a -wjson
    -w json get a
    ETCDCTL_WRITE_OUT=json get a
    ge a
    put a --ignore-value
    put a 8 --ignore-lease
    put a --ignore-value --ignore-lease --prev-kv
    put a 1 ignored words
    # what cannot be done
    put
    put onlykey
    put '' value
    put nothing --ignore-value
    put nothing x --ignore-lease
    put a x --ignore-value
    put a x --lease=zz
    put a x --lease=0x10
    put a x --lease=
    put a x --lease=123
    put a x --lease=-1
    put a x --lease
    put a x --prev-kv=perhaps
    put a x --ignore-lease --lease=123
    put a -x
    get
    get ''
    get a --rev=99999
    get a --limit=1x
    get a --limit
    get a --rev=99999999999999999999
    get a --prefix --from-key
    get a b --prefix
    get a b --from-key
    get a --keys-only --count-only
    get a --count-only
    get a --count-only -w json
    get a --print-value-only -w json
    get a --print-value-only -w fields
    get a --consistency=x
    get a --order=upwards
    get a --sort-by=luck
    get a -w table
    get a -w bogus
    get a --bogus
    get a -z
    get a --command-timeout=5
    get a --dial-timeout=soon
    get a {NOWHERE}
    put a x {NOWHERE}
    bogus
    -x
    """),
    *piped("put piped", "a value\nof two lines\n"),
    *lines("get piped\nget piped -w json"),
    *piped("put piped", ""),
    *piped("put piped given", "ignored"),
    *lines("get piped"),
)

DELETE: Final = lines("""
    del nothing
    del nothing -w json
    del nothing -w fields
    del new
    put x1 1
    put x2 2
    put x3 3
    put x4 4
    put x5 5
    put x6 6
    del x1 --prev-kv
    del x2 --prev-kv -w json
    del x3 --prev-kv -w fields
    del x4 x6
    del x --prefix -w json
    put x1 1
    del x1 -w fields
    del x --prefix --prev-kv
    del
    del a b c
    del ''
    del a --prefix --from-key
    del a b --prefix
    del nothing -w table
    del nothing -w bogus
    del piped --from-key --prev-kv
    """)

TRANSACTIONS: Final = (
    *piped("txn", 'ver("a") > "0"\n\nput a new\nget a\n\nget b\n\n'),
    *piped("txn", 'ver("a") = "0"\n\nput a never\n\nget b\ndel c\n\n'),
    *piped("txn", "\n\n\n"),
    *piped("txn", "\n\nget a\n\n"),
    *piped("txn", "\nget a\n\n\n"),
    *piped("txn -i", 'ver("a") > "0"\n\nget a\n\nget b\n\n'),
    *piped("txn --hex", "\nget a\nput a x --prev-kv\n\n\n"),
    *piped(
        "txn -w json",
        block("""
        ver("a") != "0"
        create("a") > "0"
        c("a") < "999999"
        mod("a") > "1"
        m("a") < "999999"
        val("a") = "x"
        value("a") != "y"
        version("nothing") = "0"

        put a "two words" --prev-kv
        put t1 1
        put t2 2
        get t --prefix --limit 1
        del u v --prev-kv
        get nothing
        get a --keys-only
        get a --from-key --count-only

        put never 1

        """),
    ),
    *piped(
        "txn -w fields",
        block("""
        val("a") > "two"

        put a "three\\tof\\x01them" --prev-kv
        get a d --order=DESCEND --limit=2
        del t --prefix --prev-kv
        del nothing
        get nothing


        """),
    ),
    *piped("txn -w json", 'val("nothing") != "x"\n\nget a\n\n\n'),
    *piped("txn -w fields", 'val("nothing") = ""\n\n\nget a --rev=2\n\n'),
    *piped("txn", '\nput "a b" "c\\"d"\nput q r\nget "a b"\n\n\n'),
    *piped("txn", "\nget 'a b'\n\n\n"),
    *piped("txn", '\nput a\'b c\nput "s"t u\nput tab\tstop\n\n\n'),
    *piped("txn", "\ng a\npu a 1 --prev-kv=true\nde nothing --prefix\n\n\n"),
    *piped("txn", "\nput a -- -v\nget -- a\nget a --print-value-only\n\n\n"),
    *piped("txn", '  ver("a")   >   "0"  \n \n  get a \n\t\n\n'),
    *piped("txn", 'ver( "a") > "+1"\nver(`a`) > "0" and more\n\nget a\n\n\n'),
    *piped("txn", "\nput a 1\nput a 2\n\n\n"),
    *piped("txn", "\nput a 1\ndel a\n\n\n"),
    *piped("txn", "\ndel a z\nput b 2\n\n\n"),
    *piped("txn", "\nput a 1 --lease=123\n\n\n"),
    *piped("txn", "\nput nothing --ignore-value\n\n\n"),
    *piped("txn", "\nget a --rev=99999\n\n\n"),
    *piped("txn", '\nput "" 1\n\n\n'),
    *piped("txn", 'ver("") = "0"\n\n\n\n'),
    *piped("txn", "\n" + "".join(f"put many{number} x\n" for number in range(129)) + "\n\n"),
    # lines that make no sense
    *piped("txn", ""),
    *piped("txn", "\n\n"),
    *piped("txn", '\n\nver("a") > "0"'),
    *piped("txn", "hello\n\n\n\n"),
    *piped("txn", 'ver(a) > "0"\n\n\n\n'),
    *piped("txn", 'ver("a")>"0"\n\n\n\n'),
    *piped("txn", 'ver("a") > 0\n\n\n\n'),
    *piped("txn", 'ver("a") > "x"\n\n\n\n'),
    *piped("txn", 'ver("a") > " 1"\n\n\n\n'),
    *piped("txn", 'ver("a") > "99999999999999999999"\n\n\n\n'),
    *piped("txn", 'ver("a" ) > "0"\n\n\n\n'),
    *piped("txn", 'ver ("a") > "0"\n\n\n\n'),
    *piped("txn", 'height("a") > "0"\n\n\n\n'),
    *piped("txn", 'ver("a") >= "0"\n\n\n\n'),
    *piped("txn", 'lease("a") = "0"\n\nget b\n\n\n'),
    *piped("txn", "\nfoo\n\n\n"),
    *piped("txn", "\nfoo bar\n\n\n"),
    *piped("txn", "\nget\n\n\n"),
    *piped("txn", "\nput onlykey\n\n\n"),
    *piped("txn", "\nput a x --lease=zz\n\n\n"),
    *piped("txn", "\nget a --order=upwards\n\n\n"),
    *piped("txn", "\nget a b --prefix\n\n\n"),
    *piped("txn", "\ndel a b c\n\n\n"),
    *piped("txn", "\nget a --bogus\n\n\n"),
    *piped("txn", "\nget a -w json\n\n\n"),
    *piped("txn", '\nput a "\\q"\n\n\n'),
    *piped("txn -w table", "\nget a\n\n\n"),
    *piped("txn -w bogus", "\nget a\n\n\n"),
    *lines("txn argument"),
)

LEASES: Final = (
    *lines(f"""
    lease list
    lease list -w json
    lease list -w fields
    lease grant 100 => first
    lease grant 200 -w json => second
    lease grant 300 -w fields => third
    put l1 x --lease=<first>
    put --lease=<second> l2 y -w json
    put l3 z --lease <second>
    get l1 -w json
    get l1 -w fields
    put l1 x2 --ignore-lease
    get l1 -w fields
    lease list
    lease list -w json
    lease list -w fields
    lease list ignored
    lease timetolive <first>
    lease timetolive <first> --keys
    lease timetolive <first> -w json
    lease timetolive <first> --keys -w json
    lease timetolive <first> --keys -w fields
    lease timetolive <third> --keys
    lease timetolive <third> --keys -w json
    lease keep-alive --once <first>
    lease keep-alive --once <first> -w json
    lease keep-alive <first> --once -w fields
    put l1 detached
    lease timetolive <first> --keys
    lease revoke <first>
    lease revoke <second> -w json
    lease revoke <third> -w fields
    get l --prefix
    lease timetolive <first>
    lease timetolive <first> -w json
    lease timetolive <first> --keys -w fields
    lease grant 0
    lease grant -- -5 -w fields
    # what cannot be done
    lease grant
    lease grant 1 2
    lease grant zz
    lease grant 1h
    lease grant 9000000001
    lease grant 99999999999999999999
    lease revoke
    lease revoke zz
    lease revoke 123
    lease revoke 123 456
    lease timetolive
    lease timetolive zz
    lease timetolive 123
    lease keep-alive
    lease keep-alive zz
    lease keep-alive 123
    lease keep-alive 123 -w json
    lease keep-alive 123 --once
    lease list -w table
    lease list -w bogus
    lease timetolive 123 -w table
    lease grant 10 {NOWHERE}
    lease revoke 10 {NOWHERE}
    """),
    *lines("lease grant 60 => kept"),
    *following("lease keep-alive <kept>", "", 1, 1),
    *following("lease keep-alive <kept> -w json", "", 1, 1),
    *following("lease keep-alive <kept>", "lease revoke <kept>", 1, 1),
)

WATCHES: Final = (
    *lines("put w 1\nget w -w fields => here"),
    *following("watch w --rev=<here>", "put w 2\ndel w\nput w2 x", 3, 9),
    *lines("put w 1\nget w -w fields => here"),
    *following("watch w --rev=<here> --prev-kv", "put w 2\ndel w", 3, 13),
    *lines("put w 1\nget w -w fields => here"),
    *following("watch w --prefix --rev=<here> -w json", "put w 2\ndel w w3\nput w3 x", 1, 4),
    *lines("put w 1\nget w -w fields => here"),
    *following("watch w --rev=<here> -w fields --prev-kv", "put w 2\ndel w", 11, 45),
    *lines("put w 1\nget w -w fields => here"),
    *following("watch w w9 --rev=<here> --progress-notify --hex", "put w8 2\nput w9 3", 3, 6),
    *lines("put w 1\nget w -w fields => here"),
    *following("watch w --rev <here> -- echo event", "put w 2", 4, 8),
    *following(
        "watch w --rev <here> -- printenv ETCD_WATCH_EVENT_TYPE ETCD_WATCH_KEY ETCD_WATCH_VALUE",
        "",
        12,
        12,
    ),
    *following("ETCDCTL_WATCH_KEY=w watch --rev=<here>", "", 6, 6),
    *following("ETCDCTL_WATCH_KEY=w ETCDCTL_WATCH_RANGE_END=w3 watch --rev=<here>", "", 6, 6),
    *following("ETCDCTL_WATCH_KEY=w watch --rev=<here> -- echo event", "", 8, 8),
    *lines("""
    watch w --rev=<here> -- false
    watch w --rev=<here> -- no-such-program
    watch w --rev=<here> -- /no/such/program
    watch
    watch -- echo
    watch w --
    watch w w --prefix
    watch w --rev=soon
    watch w --bogus
    watch w --rev=<here> -w table
    watch w -w bogus
    watch w a
    ETCDCTL_WATCH_KEY=w watch w
    ETCDCTL_WATCH_KEY=w watch w -- echo
    ETCDCTL_WATCH_RANGE_END=w watch
    """),
    *piped("watch -i", ""),
    *piped("watch -i", "watch\n"),
    *piped("watch -i", "\n"),
    *piped("watch -i", "sing\n"),
    *piped("watch -i", "watch w --bogus\n"),
    *piped("watch -i", "watch w --\n"),
    *piped("watch -i", 'watch "\\q"\n'),
    *piped("watch -i -w table", "watch w\n"),
)

CLUSTER: Final = (
    *lines(f"""
    put some key
    member list => member
    member list ignored
    member list -w json
    member list -w fields
    member list -w table
    member list --hex
    member list --hex -w json
    member update <member> --peer-urls=<peer>
    member update <member> --peer-urls=<peer> -w json
    member add
    member add n9
    member add n9 another --peer-urls=http://127.0.0.1:9
    member add n9 --peer-urls=nonsense
    member add n9 --peer-urls=<peer>
    member remove
    member remove zz
    member remove 1
    member remove 1 2
    member remove -- -1
    member remove 12345678901234567
    member update
    member update 1
    member update zz --peer-urls=http://127.0.0.1:9
    member update 1 --peer-urls=http://127.0.0.1:9
    member promote
    member promote zz
    member promote 1
    member promote <member>
    member list -w bogus
    move-leader
    move-leader zz
    move-leader 1 2
    endpoint status
    endpoint status -w json
    endpoint status -w fields
    endpoint status -w table
    endpoint status --cluster
    endpoint status ignored
    endpoint status -w bogus
    endpoint status {NOWHERE}
    endpoint health
    endpoint health -w json
    endpoint health -w fields
    endpoint health -w table
    endpoint health --cluster
    endpoint health {NOWHERE}
    endpoint health {NOWHERE} -w json
    endpoint health {NOWHERE} -w fields
    endpoint health {NOWHERE} -w table
    endpoint hashkv
    endpoint hashkv -w json
    endpoint hashkv -w fields
    endpoint hashkv -w table
    endpoint hashkv --cluster
    endpoint hashkv --rev=5
    endpoint hashkv --rev=-5
    endpoint hashkv --rev=99999
    endpoint hashkv {NOWHERE}
    alarm list
    alarm list -w json
    alarm list -w fields
    alarm list -w table
    alarm disarm
    alarm disarm -w json
    alarm disarm -w fields
    alarm list argument
    alarm disarm argument
    alarm list {NOWHERE}
    defrag
    defrag --cluster
    defrag -w json
    defrag -w bogus
    defrag {NOWHERE}
    check
    check perf --load=zz
    check perf -w bogus
    check perf {NOWHERE}
    put /checked/a 1
    check perf argument --load=medium --prefix=/checked
    del /checked/a
    snapshot save <scratch>/snapshot
    snapshot save <scratch>/snapshot -w json
    snapshot save
    snapshot save one two
    snapshot save <scratch>/missing/snapshot
    snapshot save <scratch>/other --endpoints=127.0.0.1:1,127.0.0.1:2
    snapshot status
    snapshot status <scratch>/nothing
    snapshot status <scratch>/snapshot
    snapshot status <scratch>/snapshot -w json
    snapshot status <scratch>/snapshot -w fields
    snapshot status <scratch>/snapshot -w table
    snapshot restore
    snapshot restore <scratch>/nothing
    snapshot restore <scratch>/snapshot --data-dir <scratch>/restored
    snapshot restore <scratch>/snapshot --data-dir=<scratch>/restored
    version
    version -w json
    """),
)

LOCKS: Final = (
    *lines("""
    lock job echo held
    lock job printenv ETCD_LOCK_REV
    lock job -- sh -c 'echo held; exit 3'
    lock job no-such-program
    lock job --ttl=5 true
    lock '' echo held
    lock
    lock job --ttl=zz
    elect
    elect office
    elect office me -l
    elect office me too
    """),
    *following("lock job", "get job --prefix --keys-only", 2, 2),
    *following("lock job -w fields", "", 12, 12),
    *following("elect office me", "get office --prefix --print-value-only", 2, 2),
    *lines("get job --prefix\nget office --prefix"),
)

COMPACTION: Final = lines(f"""
    compaction
    compaction 1 2
    compaction a
    compaction 0x5
    compaction 99999999999999999999
    compaction 99999
    compaction -- -1
    compaction -1
    compaction 10
    compaction 10
    compaction 20 -w json
    compact 30 --physical
    comp 5
    compaction 40 -w bogus
    compaction 40 {NOWHERE}
    get a --rev=10
    get a --rev=10 -w json
    get a --rev=30 -w json
    watch a --rev=10
    watch a --rev=10 -w json
    watch a --rev=10 -w fields
    endpoint hashkv --rev=10
    lease
    alarm
    member
    endpoint
    snapshot
    """)

SECTIONS: Final[dict[str, tuple[Step, ...]]] = {
    "keys": (*PUT_AND_GET, *DELETE),
    "txn": TRANSACTIONS,
    "lease": LEASES,
    "watch": WATCHES,
    "cluster": CLUSTER,
    "lock": LOCKS,
    "compaction": COMPACTION,
}
"""In this order: later ones find what earlier ones have left."""
