"""The Python client: an engine, what a program calls, and the threads that carry both.

    program -> api.Client -> flows -> threads -> engine
                                         |
                                      sockets <-> nodes

api          Client: what a program calls
flows        keys, leases, transactions, watches, recipes: what becomes requests, and how one waits
threads      the I/O thread: it owns `sockets` and the engine, and serves the callers' threads
engine       pure: retries, exactly-once writes, watches that outlive nodes, renewals, endpoints
requests arguments ops    pure: a program's arguments as request maps
results replies    typed results, and how they are read from replies
sockets resolving waker    the way to the nodes
"""
