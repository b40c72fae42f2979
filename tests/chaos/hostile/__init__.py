"""Hostile clients and strangers among the peers, at once, against real nodes with honest clients.

`zmtp` speaks ZeroMQ's protocol by hand, `intruder` is one hostile client, `on_clients` and
`on_peers` say what such clients do, `on_rights` what they do where requests are checked, `process`
runs them apart from the honest ones, and `campaign` puts it all together and judges.
"""
