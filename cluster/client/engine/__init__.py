"""The engine of a client: pure and deterministic. It refuses sockets, threads and clocks.

core         one set of inputs and outputs; it passes each input to its part, `notices` go out
calling sessions endpoints direct    retries, exactly-once writes, and where requests go
login        the token of a client that has a user
call endings    one request and its attempts, and how it ends unanswered
watching leasing    watches and renewals, which are made of calls
leading      the endpoint of the leader, for writes
learned      members to turn to when no endpoint can be reached
states       CONNECTED, SUSPENDED, LOST
leaving      calls whose callers were cancelled: what they did is taken back
"""
