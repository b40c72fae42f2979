"""Programs that run on a real etcd and on a real node, and everything they answer, compared."""
