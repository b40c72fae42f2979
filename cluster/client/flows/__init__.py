"""What a program does with a cluster, step by step: each flow sends requests and waits for them.

Flows are `async` functions of both clients. They refuse to know whether a wait blocks a thread or
suspends a task: that is the business of the `shell` by which they ask and wait.

client       Client: all of it
primitives   keys, leases, transactions and watches; keys is a part of it
caller       sends requests, into a namespace if it has one
uplink       the way to the cluster, and the life of the connection; `states` tells how it is
txn stm      transactions: the builder, and functions that run as one
watch lease scan snapshot    the objects that a program holds; `stream` is the base of iterators,
             `openable` what comes before an object that must be opened
recipes      makes them: lock election barrier counter queues locking_queue party partitioner
contest held_place waiting    what recipes are made of: a queue of keys, and waits for a change
mirror       a live dict of keys
members upkeep    changes of members and of the leader; single nodes
access       users, roles and authentication
"""
