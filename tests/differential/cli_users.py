"""What is typed about users, roles and rights; the server is as before when all is typed."""

from __future__ import annotations

from typing import Final

from tests.differential.cli_script import SECTIONS, Step, lines, piped

ROOT: Final = "--user=root:rootpw"

USERS: Final = (
    *lines("""
    user list
    user add alice:pw
    user add alice:pw
    user add bob --new-user-password=pw -w json
    user add carol --no-password
    user get alice -w json
    user list
    user list -w json
    user delete bob -w fields
    user grant-role alice nothing
    role add reader
    role add writer -w json
    role list -w fields
    role grant-permission reader read a
    role grant-permission reader read dir/ --prefix
    role grant-permission reader readwrite z --from-key
    role grant-permission writer write '' --prefix -w json
    role get reader
    role get reader -w json
    role get reader -w fields
    role revoke-permission reader dir/ --prefix
    role revoke-permission reader x y
    role grant-permission reader perhaps a
    role grant-permission reader read a b --prefix
    user grant-role alice reader
    user get alice
    user get alice --detail
    user revoke-role alice writer
    user get
    user get alice -w fields
    """),
    *piped("user add grace", "pw one\npw one\n"),
    *piped("user add heidi", "one\ntwo\n"),
    *piped("user passwd grace --interactive=false", "  word and more\n"),
    *lines(f"""
    auth status
    auth enable
    user add root:rootpw
    auth enable
    auth status -w json {ROOT}
    get a
    get a --user=alice:pw
    put a 1 --user=alice --password=pw
    put a 1 {ROOT}
    watch b --user=alice:pw -w json
    get a --user=alice:wrong
    get a --user=carol:pw
    ETCDCTL_USER=alice:pw get a
    user get root --user=alice:pw
    endpoint health --user=alice:pw
    endpoint health
    endpoint status
    user delete root {ROOT}
    auth disable --user=alice:pw
    auth disable {ROOT} -w json
    get a --user=root:whatever
    user delete root
    user delete alice
    user delete carol
    user delete grace
    role delete root
    role delete reader
    role delete writer
    user list
    role list
    del a
    """),
)
"""Each command, each format, and etcdctl's errors."""

MORE: Final = (
    *lines(f"""
    user add alice:pw
    user add dave --interactive=false
    user add erin:a:b -w fields
    user delete erin
    user delete erin
    user passwd nobody --interactive=false
    user revoke-role alice nothing
    role list
    role add reader
    role add reader
    role add ''
    role list -w json
    role grant-permission reader READ x y
    role revoke-permission reader x y
    role revoke-permission reader z --from-key -w json
    user grant-role alice reader -w json
    user grant-role alice reader -w fields
    auth status -w fields
    user add root:rootpw
    auth enable
    auth enable {ROOT}
    auth status {ROOT}
    del a --user=alice:pw
    watch b --user=alice:pw
    get a --user=nobody:pw
    get a --user=alice:
    user get alice --user=alice:pw
    role get reader --user=alice:pw
    user list --user=alice:pw
    auth enable --user=alice:pw
    member list
    role delete root {ROOT}
    user revoke-role root root {ROOT}
    role delete reader {ROOT}
    get a --user=alice:pw
    auth disable
    auth disable {ROOT}
    auth disable
    user delete root
    user delete alice
    user delete dave
    role delete root
    # what cannot be done
    user add
    user add a b
    user add :pw
    user add frank:pw -w bogus
    user add frank --interactive=perhaps
    user get nobody
    user list all
    user list -w fields
    user delete
    user passwd
    user grant-role alice
    user revoke-role alice
    role add
    role get
    role get nothing
    role get nothing -w bogus
    role delete nothing
    role grant-permission reader
    role grant-permission reader read a b --from-key
    role grant-permission reader read a --prefix --from-key
    role grant-permission nothing read a
    role revoke-permission reader
    role revoke-permission nothing a
    role list all
    auth enable now
    """),
    *piped("user add heidi", ""),
    *piped("user passwd nobody -w json", "pw\npw\n"),
)
"""The rest."""

ALL_SECTIONS: Final[dict[str, tuple[Step, ...]]] = {
    **SECTIONS,
    "users": USERS,
    "more of users": MORE,
}
"""Everything that is typed, in this order."""

BY_HAND: Final = frozenset({"more of users"})
"""What the tests leave to those who have minutes."""
