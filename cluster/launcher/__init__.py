"""A cluster on this machine: `run_cluster.py`, and LocalCluster for programs and tests.

app         the command: it starts a cluster and a supervisor, and stops everything
arguments   its command line
supervisor  the main loop: it watches the nodes, obeys the user, and serves the parts below
local       LocalCluster: the same cluster for Python programs
nodes/      processes, ports, the data directory
links/      the channel to each node, and faults of the links between them
errands/    what takes several steps: kill, isolate, add, scale...
commands/   one table of commands, for the prompt, other terminals and the page
story/      the journal of all that happens, and sentences made of it
probing/    a client that always runs, and what a fault cost it
shows/      tour, chaos, load
screens/    a live table, plain lines, lines of JSON
web/        the page
report/     the page of a session, its plots, and its recording
"""
