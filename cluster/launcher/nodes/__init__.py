"""The nodes of a local cluster as processes on this machine.

`layout` has their names, ports and flags, `files` is the data directory, and `roster` what it
records. `node` is one process, `probe` asks it, and `processes` is all of them.
`announcing` tells the journal of their ends and returns.
"""
