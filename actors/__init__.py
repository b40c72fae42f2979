"""One Leasehold node: five actors that tell each other things, in one direction round a ring.

    clients <=> Gateway --Propose, Read--> Raft --Apply, ConfirmedRead--> Store --Events--> Watch
                   ^                        ^ peers <=>                     |                 |
                   |                        +------- Lease <---LeaseFacts---+                 |
                   +<---------- Replies from Store, Deliver from Watch <----------------------+

Gateway turns requests into commands and queries, Raft orders them and makes them durable, Store
applies and answers them, Watch tells those who watch, Lease notices on the leader what is due.
Each of their rooms holds pure engines and a thin actor around them, and what touches files in a
`disk/` of its own. No room knows another: `language/` is what they say to each other, `runtime/`
what runs them, `node.py` what puts them together, `offline/` what is done while no node runs. Read
`language/messages.py`, then `node.py`, then `_flush` in `raft/actor.py`. DESIGN.md says why all of
it is made this way, and has a longer reading order; FORMATS.md has every byte that leaves a node.
"""
