"""Who may do what: users and roles as replicated state, and the one check of every request.

`intervals` are sets of keys, `table` is the state and its commands, `needs` says what each command
and query needs, and `check` compares the two.
"""
