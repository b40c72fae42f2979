"""The replicated state of a node: keys, leases, sessions, members and alarms, and its actor.

`machine.py` composes the pure parts. `mvcc` and `index` hold the keys; `leases`, `sessions` and
`alarms` hold the rest. `writes` and `txn` change the state. `ranges`, `history` and `digest` read
it, in small `steps` where that takes long. `integrity` compares it with what other members hold.
`sweeper` does the work that a compaction leaves, and `compactor` and `retention` say when.

`storage.py` is the seam to the disk: `disk/` keeps the state in an LMDB file, `pages.py` checks
that file before LMDB may use it, and `records.py` has the bytes of what is in it.

`actor.py` carries entries and answers round the ring. `long_queries`, `upkeep` and `checker` say
what the actor does between entries, and `backlog` reads what a watch has missed.
"""
