"""The client's methods for users, roles and authentication, named as in etcd's API."""

from __future__ import annotations

from typing import Any, Final

from cluster.client import auth_results, replies
from cluster.client.arguments import not_negative, one_of
from cluster.client.flows.caller import Api
from cluster.client.requests import Key, interval, request
from cluster.users_table import PERMISSION_TYPE

_CHANGED: Final = replies.of(auth_results.AuthResult)


class AccessApi(Api):
    """Who may do what: each change needs the role root once authentication is on."""

    # --- authentication ---

    async def auth_enable(self) -> auth_results.AuthResult:
        """Have requests checked from now on; a user root with the role root must exist."""
        return await self._change("auth_enable")

    async def auth_disable(self) -> auth_results.AuthResult:
        """Have requests checked no longer. Users and roles stay."""
        return await self._change("auth_disable")

    async def auth_status(self) -> auth_results.AuthStatusResult:
        """Whether requests are checked."""
        decode = replies.of(auth_results.AuthStatusResult)
        return await self._caller.request(request("auth_status"), decode)

    async def authenticate(self, name: str, password: str) -> auth_results.AuthenticateResult:
        """A token for a user, to see whether the password is right. A client with a `user` of its
        own gets its tokens by itself."""
        fields = request("authenticate", name=name, password=password)
        return await self._caller.request(fields, replies.of(auth_results.AuthenticateResult))

    # --- users ---

    async def user_add(self, name: str, password: str | None = None) -> auth_results.AuthResult:
        """Add a user without roles; no password: only a key or a certificate lets the user in."""
        if password is None:
            return await self._change("user_add", name=name, options={"no_password": True})
        return await self._change("user_add", name=name, password=password)

    async def user_delete(self, name: str) -> auth_results.AuthResult:
        """Delete a user, whose tokens and keys are worth nothing then."""
        return await self._change("user_delete", name=name)

    async def user_get(self, name: str) -> auth_results.UserGetResult:
        """The roles and public keys of a user; each user may ask about themselves."""
        fields = request("user_get", name=name)
        return await self._caller.request(fields, replies.of(auth_results.UserGetResult))

    async def user_list(self) -> auth_results.UserListResult:
        """The names of all users."""
        return await self._caller.request(
            request("user_list"), replies.of(auth_results.UserListResult)
        )

    async def user_change_password(self, name: str, password: str) -> auth_results.AuthResult:
        """Give a user another password; the tokens that the old one gave are worth nothing then."""
        return await self._change("user_change_password", name=name, password=password)

    async def user_grant_role(self, name: str, role: str) -> auth_results.AuthResult:
        """Give a user the rights of a role."""
        return await self._change("user_grant_role", user=name, role=role)

    async def user_revoke_role(self, name: str, role: str) -> auth_results.AuthResult:
        """Take the rights of a role from a user."""
        return await self._change("user_revoke_role", name=name, role=role)

    async def user_add_key(self, name: str, key: bytes) -> auth_results.AuthResult:
        """Let a public CURVE key (32 bytes) stand for a user. Not in etcd."""
        return await self._change("user_add_key", name=name, key=key)

    async def user_remove_key(self, name: str, key: bytes) -> auth_results.AuthResult:
        """Let a public CURVE key no longer stand for a user. Not in etcd."""
        return await self._change("user_remove_key", name=name, key=key)

    # --- roles ---

    async def role_add(self, name: str) -> auth_results.AuthResult:
        """Add a role without permissions."""
        return await self._change("role_add", name=name)

    async def role_delete(self, role: str) -> auth_results.AuthResult:
        """Delete a role, and take it from all users."""
        return await self._change("role_delete", role=role)

    async def role_get(self, role: str) -> auth_results.RoleGetResult:
        """The permissions and limits of a role; who has the role may ask about it."""
        fields = request("role_get", role=role)
        return await self._caller.request(fields, replies.of(auth_results.RoleGetResult))

    async def role_list(self) -> auth_results.RoleListResult:
        """The names of all roles."""
        return await self._caller.request(
            request("role_list"), replies.of(auth_results.RoleListResult)
        )

    async def role_grant_permission(
        self,
        role: str,
        perm_type: str,
        key: Key | None,
        range_end: Key | None = None,
        *,
        prefix: bool = False,
        from_key: bool = False,
    ) -> auth_results.AuthResult:
        """Let a role READ, WRITE or READWRITE a key or an interval (as in `range`; None: all keys).

        It stands in place of the permission that the role had for exactly this interval.
        """
        one_of("perm_type", perm_type, PERMISSION_TYPE.words)
        keys = interval(key, range_end, prefix, from_key)
        permission = {"permType": perm_type, "key": keys.key, "range_end": keys.end or b""}
        return await self._change("role_grant_permission", name=role, perm=permission)

    async def role_revoke_permission(
        self,
        role: str,
        key: Key | None,
        range_end: Key | None = None,
        *,
        prefix: bool = False,
        from_key: bool = False,
    ) -> auth_results.AuthResult:
        """Take from a role the permission for exactly this key or interval."""
        keys = interval(key, range_end, prefix, from_key)
        fields = {"key": keys.key, "range_end": keys.end or b""}
        return await self._change("role_revoke_permission", role=role, **fields)

    async def role_set_limits(
        self,
        role: str,
        *,
        requests_per_second: int = 0,
        bytes_per_second: int = 0,
        watches: int = 0,
        leases: int = 0,
    ) -> auth_results.AuthResult:
        """Limit what each user of a role may take, instead of how it was limited before; 0: not.

        At each node: requests and their bytes in a second, and open watches. In the cluster:
        leases. Of several roles that limit the same, the most generous counts. Not in etcd.
        """
        limits = auth_results.RoleLimits(requests_per_second, bytes_per_second, watches, leases)
        for name, number in limits._asdict().items():
            not_negative(name, number)
        return await self._change("role_set_limits", role=role, limits=limits._asdict())

    async def _change(self, op: str, **fields: Any) -> auth_results.AuthResult:
        return await self._caller.request(request(op, **fields), _CHANGED)
