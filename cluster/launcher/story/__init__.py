"""What happens to a local cluster: the journal of it, and what is made of the journal.

`happenings` are the kinds of what happens, told by nodes and by the launcher. `journal` keeps them
and hands them on. `explaining` makes sentences of several of them. `failover` is one change of
leaders, measured.
"""
