"""Requests of the Auth service to a cluster without users and roles, which change nothing there."""

from __future__ import annotations

from typing import Any, Final

CALLS: Final[list[tuple[str, dict[str, Any], str]]] = [
    ("AuthEnable", {}, "9 etcdserver: root user does not exist"),
    ("AuthDisable", {}, ""),
    ("AuthStatus", {}, ""),
    ("Authenticate", {}, "9 etcdserver: authentication is not enabled"),
    ("Authenticate", {"name": "root"}, "9 etcdserver: authentication is not enabled"),
    ("UserAdd", {}, "3 etcdserver: user name is empty"),
    ("UserGet", {}, "9 etcdserver: user name not found"),
    ("UserGet", {"name": "u"}, "9 etcdserver: user name not found"),
    ("UserList", {}, ""),
    ("UserDelete", {}, "9 etcdserver: user name not found"),
    ("UserDelete", {"name": "root"}, "9 etcdserver: user name not found"),
    ("UserChangePassword", {"name": "u", "password": "x"}, "9 etcdserver: user name not found"),
    ("UserGrantRole", {"user": "root", "role": "root"}, "9 etcdserver: user name not found"),
    ("UserRevokeRole", {"name": "u", "role": "r"}, "9 etcdserver: user name not found"),
    ("RoleAdd", {}, "3 etcdserver: role name is empty"),
    ("RoleGet", {}, "9 etcdserver: role name not found"),
    ("RoleGet", {"role": "root"}, "9 etcdserver: role name not found"),
    ("RoleList", {}, ""),
    ("RoleDelete", {"role": "r"}, "9 etcdserver: role name not found"),
    ("RoleGrantPermission", {"name": "r"}, "3 etcdserver: permission not given"),
    ("RoleGrantPermission", {"name": "r", "perm": {}}, "9 etcdserver: role name not found"),
    ("RoleRevokePermission", {"role": "r", "key": b"a"}, "9 etcdserver: role name not found"),
]
"""Method, request, and code and text of the error, if there is one."""
