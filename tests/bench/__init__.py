"""The benchmark: its tests, and a comparison with etcd (`python -m tests.bench etcd DIR`)."""
