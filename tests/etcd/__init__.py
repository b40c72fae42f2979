"""Tools and runs that compare us with etcd through etcd's own clients."""
