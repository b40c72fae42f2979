"""A cluster on this machine: `run_cluster.py`, and LocalCluster for tests.

`app` is the command. `supervisor` is its main loop while the cluster runs, and `orders` are the
changes of members that a user types. `local` is the cluster, `processes` its nodes, and `layout`
their names, ports and flags. `screens` show it.
"""
