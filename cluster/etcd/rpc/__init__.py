"""What etcd's clients say and hear, as messages: no socket, no HTTP, no clock.

`protos/*.proto` has the services and messages, and `schema` a class of each message and the table
of all RPCs. `mapping` stands between a message's bytes and the maps of the client protocol, and
`wire_faults` has etcd's words for bytes that are no message. `json_requests` and `json_answers`
read and write messages as etcd's JSON gateway does; `json_values` and `json_faults` are Go's part
of that. `status` is how a call fails.
"""
