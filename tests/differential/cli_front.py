"""What is typed at etcdctl on etcd and on a node's front, and what differs there on purpose.

The script of `cli_script`, and the commands that leasectl does not have. THROUGH_A_FRONT is the
list of what an operator with etcdctl sees differently; each entry must differ, or it is stale.
"""

from __future__ import annotations

from typing import Final

from tests.differential.cli_masks import purposes
from tests.differential.cli_script import Step, following, lines, piped
from tests.differential.cli_users import ALL_SECTIONS

# Two members are listed in the order of their ids, which is chance: so only one is ever listed.
MEMBERS: Final = lines("""
    member add learner --peer-urls=http://127.0.0.1:9 --learner => learner
    member promote <learner>
    member update <learner> --peer-urls=http://127.0.0.1:10
    member remove <learner> -w json
    member remove <learner>
    member list -w json
    member list -w table
    move-leader 1 --endpoints=<endpoint>
    move-leader 0 --endpoints=<endpoint>
    """)

WATCHED: Final = (
    *lines("put seat/a me"),
    *following("elect -l seat", "put seat/a you\nget seat --prefix --keys-only", 2, 4),
    *piped("watch -i", "watch nowhere --rev=1\nprogress\n"),
)

# etcd's sessions with leases and keys, as its users know them. Keys are told while a lease has one:
# etcd's order of several is chance.
TRANSCRIPTS: Final = (
    *lines("""
    lease grant 100 => first
    put --lease=<first> /test/mylease testlease
    lease list
    lease timetolive <first>
    lease timetolive <first> --keys
    get /test/mylease
    put key01 value01 --lease=<first>
    get key01 -w json
    lease grant 300 => second
    put key5 value05 --lease=<second>
    lease timetolive <second> --keys
    put key6 value06 --lease=<second>
    lease revoke <second>
    get key5
    lease timetolive <second> --keys
    put "/users/user1" "zs"
    put "/users/user2" "ls" -w fields => now
    get "/users/" --prefix
    put key01 value02
    lease timetolive <first> --keys
    lease revoke <first>
    get key01
    lease grant 1 => short
    put --lease=<short> /test/expires testlease
    """),
    *following("watch /test/expires --rev=<now>", "get /test/expires", 6, 6),
    *lines("get /test/expires\nlease timetolive <short> --keys\nlease keep-alive <short>"),
    *following('watch "/users/" --prefix --rev=<now>', 'del "/users/user1"', 3, 6),
    *lines("lease grant 2 => kept"),
    *following("lease keep-alive <kept>", "lease timetolive <kept>", 4, 4),
)

QUICK: Final = (
    *lines("""
    put a 1
    put a 2 --prev-kv
    put b "two words" -w json
    put c 3 --prev-kv -w fields
    get a b -w json
    get '' --prefix --order=DESCEND --sort-by=VALUE --keys-only
    get '' --from-key --limit=2 --rev=3 -w fields
    get '' --prefix --count-only -w fields
    get a --rev=99
    del c --prev-kv
    lease grant 300 => lease
    put leased 1 --lease=<lease>
    put leased 1 --lease=123
    lease timetolive <lease> --keys -w json
    lease list
    lease keep-alive --once <lease>
    lease revoke <lease>
    lease revoke <lease>
    watch a --rev=99999999999 --bogus
    member list -w table
    endpoint status --cluster -w fields
    endpoint health --cluster -w json
    endpoint hashkv -w table
    alarm list
    defrag
    snapshot save <scratch>/snapshot
    auth status
    role list
    user get nobody
    move-leader 1 --endpoints=<endpoint>
    move-leader 0 --endpoints=<endpoint>
    lock job echo held
    compaction 3
    get a --rev=2
    """),
    *piped("txn -i", 'ver("a") > "0"\nval("b") = "two words"\n\nput x 1\nget x\n\nget b\n\n'),
    *following("watch a --rev=4", "put a 3\ndel a", 0, 6),
    *following("elect office me", "get office --prefix --print-value-only", 2, 2),
    *TRANSCRIPTS,
)
"""A part that takes seconds: every kind of request, in every format."""

FRONT_SECTIONS: Final[dict[str, tuple[Step, ...]]] = {
    **ALL_SECTIONS,
    "transcripts": TRANSCRIPTS,
    "members": MEMBERS,
    "watched": WATCHED,
}

THROUGH_A_FRONT: Final = purposes(
    (
        r"^snapshot (status <scratch>/snapshot|restore <scratch>/snapshot --data-dir <)",
        "`etcdctl snapshot status` and `restore` read a file of bbolt; a node's is one of LMDB,"
        " for `leasectl snapshot`",
    ),
)
"""What an operator sees differently, by the command line."""
