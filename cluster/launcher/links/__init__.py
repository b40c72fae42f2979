"""The launcher's ways to its nodes: the channel to each, and what it makes go wrong between them.

`channel` is the launcher's end of a node's channel. `faults` plans what befalls the links.
"""
