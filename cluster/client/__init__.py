"""The Python client: an engine, what a program calls, and two shells that carry both.

    program -> api.Client -> threads -> flows -> engine        each wait blocks the thread
    program -> aio.Client ------------> flows -> engine        each wait suspends the task
                                          |
                                       sockets <-> nodes

flows        what a program calls, written once: keys, leases, watches, recipes, users
engine       pure: retries, exactly-once writes, watches that outlive nodes, renewals, endpoints
api threads  the threaded client: it names the flows, and runs each to its end
aio          the asyncio client: it is the flows themselves, in the program's event loop
requests arguments ops    pure: a program's arguments as request maps
results auth_results result_table replies    typed results, and how they are read from replies
forms        how keys and values are shown: as bytes, or as text
sockets resolving examining waker registry    the way to the nodes, for both shells
told         what the log says of retries and fail-over
"""
