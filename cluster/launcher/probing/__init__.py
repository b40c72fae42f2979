"""What a fault costs: a client that uses a local cluster all the time, and what is made of it.

`client` is the probe client, a process of its own: `pace` says when it writes and reads, `leases`
what it holds, `links` are its sockets. `records` are what it tells. In the launcher, `prober`
starts and hears it.
`history` says what was lost, doubled, or not linearizable.
"""
