"""Other packages' names for this client: a program written for one of them changes its import.

    from cluster.compat import etcd3          instead of: import etcd3

Each package here is a thin layer over `cluster.Client`, and nothing of the client needs it.
"""
