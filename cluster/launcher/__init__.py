"""A cluster on this machine: `run_cluster.py`, and LocalCluster for tests.

`app` is the command, `supervisor` what it does while the cluster runs, `orders` what a user can
change meanwhile; `local` is the cluster itself, `processes` its nodes and `layout` which they are.
"""
