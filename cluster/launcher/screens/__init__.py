"""What people see of a local cluster: a live table in a terminal, or plain lines elsewhere.

`view` is the cluster at one moment; `live` and `plain` show it. A screen decides nothing.
"""
