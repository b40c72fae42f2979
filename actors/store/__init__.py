"""The replicated state of a node: keys, leases, sessions, members and alarms, and its actor.

`commands.py`, `queries.py` and `results.py` are the vocabulary. `machine.py` composes the pure
parts: `mvcc index` hold the keys, `leases sessions alarms` the rest; `writes txn` change it,
`ranges history digest` read it, in `steps.py` if that takes long; `integrity.py` compares it with
what other members hold. `sweeper.py` does the work that a compaction leaves, `compactor.py` and
`retention.py` say when. `storage.py` is the seam to disk and `backend.py` the disk, with `pages.py`
to distrust the file, `tables.py` and `records.py` for what is in it, `lmdb_files.py` for whole
files, `copier.py` and `follower.py` for copies of them; `codec.py` and `shapes.py` turn commands to
bytes. `actor.py` carries it all round the ring; `long_queries.py`, `upkeep.py` and `checker.py` say
what it does in between, `backlog.py` what watchers have missed.
"""
