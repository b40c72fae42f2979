"""The store's files: the LMDB environment, its copies and its snapshot files."""
