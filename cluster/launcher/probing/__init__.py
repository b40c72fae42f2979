"""What a fault costs: a client that uses a local cluster all the time, and what is made of it.

`client` is the probe client, a process of its own: `pace` says when it writes and reads, `leases`
and `watching` what it holds, `links` are its sockets. `records` are what it tells. In the launcher,
`prober` starts it (`process`), hears it, and tells what it finds. `measuring` decides what a fault
is; an `incident` is one of them, `gaps` are its outages. `history` says what was lost, doubled, or
not linearizable. `report` has the texts.
"""
