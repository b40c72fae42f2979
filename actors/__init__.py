"""One Leasehold node: five actors that tell each other things, in one direction round a ring.

    clients <=> Gateway --Propose, Read--> Raft --Apply, ConfirmedRead--> Store --Events--> Watch
                   ^                        ^ peers <=>                     |                 |
                   |                        +------- Lease <---LeaseFacts---+                 |
                   +<---------- Replies from Store, Deliver from Watch <----------------------+

Gateway turns requests into commands and queries, Raft orders them and makes them durable, Store
applies and answers them, Watch tells those who watch, Lease notices on the leader what is due.
Each folder holds a pure engine and a thin actor around it. Read `messages`, then `node`, then
`raft.actor._flush`.
"""
