"""What a program does with a cluster, step by step: each flow sends requests and waits for them.

primitives   keys, leases, transactions and watches; keys is a part of it, caller the base of all
txn stm      transactions: the builder, and functions that run as one
watch lease scan snapshot    the objects that a program holds; `stream` is the base of iterators
lock election contest held_place    recipes, and the queue of keys that both are made of
members upkeep    changes of members and of the leader; single nodes
"""
