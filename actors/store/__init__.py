"""The replicated state of a node: keys, leases, sessions and members, and its actor.

`commands.py` is the vocabulary; `machine.py` composes the pure parts, `mvcc index leases sessions`;
`storage.py` is the seam to disk and `backend.py` the disk; `codec.py` turns commands to bytes;
`actor.py` carries it all round the ring.
"""
