"""The Python client: a pure core, one I/O thread around it, and the API on top.

api          Client: what a program calls; it adds recipes and upkeep to the primitives
primitives   keys, leases, transactions and watches; keys is a part of it, caller the base of all
ops txn stm  transactions: their vocabulary, the builder, and functions that run as one
watch lease scan snapshot    what it holds or reads meanwhile; a stream comes one by one
lock election contest        recipes, and the queue of keys that both are made of
members      who belongs to the cluster, and who leads it
connection   the I/O thread: sockets, and the way to and from the callers' threads
core         pure: what comes in goes to the part that it concerns; `notices` go out
watching leasing    pure: watches and renewals, which are made of calls
calling sessions endpoints    pure: retries, exactly-once writes; `call` is one request on its way
requests     pure: what the caller asks for, as fields
results replies    typed answers, and how they are read from replies
"""
