"""What a program does with a cluster, step by step: each flow sends requests and waits for them.

Flows are `async` functions of both clients. They refuse to know whether a wait blocks a thread or
suspends a task: that is the business of the `shell` by which they ask and wait.

client       Client: all of it
primitives   keys, leases, transactions and watches; keys is a part of it
caller       sends requests, and owns the life of the connection
txn stm      transactions: the builder, and functions that run as one
watch lease scan snapshot    the objects that a program holds; `stream` is the base of iterators,
             `openable` what comes before an object that must be opened
lock election contest held_place    recipes, and the queue of keys that both are made of
members upkeep    changes of members and of the leader; single nodes
access       users, roles and authentication
"""
