"""One Leasehold node: five actors that tell each other things, in one direction round a ring.

    clients <=> Gateway --Propose, Read--> Raft --Apply, ConfirmedRead--> Store --Events--> Watch
                   ^                        ^ peers <=>                     |                 |
                   |                        +------- Lease <---LeaseFacts---+                 |
                   +<---------- Replies from Store, Deliver from Watch <----------------------+

Gateway turns requests into commands and queries, Raft orders them and makes them durable, Store
applies and answers them, Watch sends events to watchers, Lease notices on the leader which leases
have expired. Each has a room of its own: pure engines, a thin actor around them, and in `disk/` the
modules that touch files. No room knows another. `language/` holds what they say to each other,
`runtime/` what runs them, all five on one thread; `node.py` puts them together, and `offline/`
works on the files while no node runs. Read `language/messages.py`, then `node.py`, then `settle` in
`raft/actor.py`. DESIGN.md says why it is made this way, and has a longer reading order; FORMATS.md
has every byte that leaves a node.

One word for each thing, from a client's frame to the file and back:

    request     a client's frame, decoded and checked: gateway/requests.py
    command     a request that changes the store, or its bytes: language/commands.py
    query       a request that changes nothing in the store: language/queries.py
    ticket      the gateway's number of a request that waits for its answer: gateway/tickets.py
    proposal    a command with the member and ticket that will answer it: language/entries.py
    entry       a proposal at its place in the log, with its term and time: language/entries.py
    batch       all that one commit of the store makes durable: store/storage.py
    result      what the store answers to a command or query: language/results.py
    reply       a result as the bytes that the client gets: gateway/replies.py
    event       one change of one key, as watches are told it: language/commands.py
    session     a client's row of numbered writes, each applied once: store/sessions.py
    stream      a leader's appends to one peer, under one number: raft/progress.py
    history     past revisions that are kept until a compaction: store/history.py
    follower    a member that follows a leader, and nothing else: raft/roles.py
    fact        what happened, noted for people and read by no rule: raft/facts.py
    fault       the code and text that a client is told: cluster/faults.py
"""
