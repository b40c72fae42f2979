"""A cluster on this machine: `run_cluster.py`, and LocalCluster for tests.

`app` is the command, `supervisor` what it does while the cluster runs, `local` the cluster itself.
"""
