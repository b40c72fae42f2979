"""A local cluster that lets nobody in whom it does not know: its secrets, its users, how to log in.

`files` has what is on the disk, `users` what the cluster is told, and `pasting` what people type.
"""
