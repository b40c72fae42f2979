"""One Leasehold node: five actors that tell each other things, in one direction round a ring.

    clients <=> Gateway --Propose, Read--> Raft --Apply, ConfirmedRead--> Store --Events--> Watch
                   ^                        ^ peers <=>                     |                 |
                   |                        +------- Lease <---LeaseFacts---+                 |
                   +<---------- Replies from Store, Deliver from Watch <----------------------+

Gateway turns requests into commands and queries, Raft orders them and makes them durable, Store
applies and answers them, Watch tells those who watch, Lease notices on the leader what is due.
Each of their rooms holds pure engines and a thin actor around them, and what touches files in a
`disk/` of its own. No room knows another: `language/` is what they say to each other, `runtime/`
what runs them, `node.py` what puts them together, `offline/` what is done while no node runs. Read
`language/messages.py`, then `node.py`, then `_flush` in `raft/actor.py`. DESIGN.md says why all of
it is made this way, and has a longer reading order; FORMATS.md has every byte that leaves a node.

One word for each thing, from a client's frame to the file and back:

    request     what a client asks, decoded and checked: gateway/requests.py
    command     what is asked of the store and changes it, or its bytes: language/commands.py
    query       what is asked of the store and changes nothing: language/queries.py
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
    fault       the code and text that a client is told: cluster/errors.py
"""
