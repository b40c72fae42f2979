"""The Python client: a pure core, one I/O thread around it, and the API on top.

api          Client: what a program calls; it adds recipes and upkeep to the primitives
primitives   keys, leases, transactions and watches; keys is a part of it, caller the base of all
ops txn stm  transactions: compares and operations, the builder, and functions that run as one
watch lease scan snapshot    the objects that a program holds; `stream` is the base of iterators
lock election contest held_place    recipes, and the queue of keys that both are made of
members      changes of members and of the leader
connection   the I/O thread: it owns `sockets` and `core`, and serves the callers' threads
core         pure: passes each input to its part; `notices` go out
watching leasing    pure: watches and renewals, which are made of calls
calling sessions endpoints    pure: retries, exactly-once writes; `call` is one request
requests     pure: a program's arguments as request maps
results replies    typed results, and how they are read from replies
"""
