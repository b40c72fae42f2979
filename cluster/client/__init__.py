"""The Python client: a pure core, one I/O thread around it, and the API on top.

api          Client: what a program calls; keys and upkeep are its halves, caller is their base
ops txn stm  transactions: their vocabulary, the builder, and functions that run as one
watch lease scan snapshot    what it holds or reads meanwhile
lock election contest        recipes, and the queue of keys that both are made of
members      who belongs to the cluster, and who leads it
connection   the I/O thread: sockets, and the way to and from the callers' threads
core         pure: retries, endpoints, exactly-once writes; `call` is one request on its way
watching leasing endpoints requests    pure parts of the core
results replies    typed answers, and how they are read from replies
"""
