"""The front's connections to its node, which are those of any other client: ZMTP and msgpack.

`zmtp` is the client's side of ZMTP and knows no socket. `connection` is one connection to the node,
which asks who the node is before it sends anything else. `node_link` has the calls of one client,
`node_stream` has one stream of answers, such as a watch's, and `pool` has what all of them share.
"""
