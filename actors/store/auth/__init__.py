"""Who may do what: users and roles as replicated state, and the one check of every request.

`table` is the state and its commands, `needs` says what each command and query needs, `check`
compares the two, and `ready` has the answers that were given since users and roles last changed.
"""
