"""What people and scripts see of a cluster. A screen decides nothing, and waits for no reader.

`view` is a cluster at one moment, and `vitals` what nodes say of themselves; `asking` asks them.
`wording` says which happenings people read, and in which words. `choice` chooses the screen:

    live        the story, and below it a sheet with nodes (`table`), latency (`sparkline`) and the
                prompt (`editor`, `history`), drawn by `canvas` and `painter`
    plain       lines of text; `line_input` has the commands from a pipe
    json_lines  each happening as a line of JSON

All write by an `outlet`, and `terminal` says whether the terminal is theirs. `leasectl top` shows
the same table of clusters that are somewhere else.
"""
