"""How to reach a cluster: the lines that people paste, and the variables that programs get.

A password is never among the lines: they name the file that holds it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from cluster.launcher.secure.files import APP, ROOT, SecureFiles


def variables(endpoints: Sequence[str], files: SecureFiles | None) -> Mapping[str, str]:
    """The variables of the environment with which leasectl and etcdctl reach the cluster.

    etcdctl takes a password from nowhere else, so that of `app` is among them in a secure cluster.
    """
    joined = ",".join(endpoints)
    if files is None:
        return {"LEASECTL_ENDPOINTS": joined}
    common = {
        "ENDPOINTS": joined,
        "CACERT": str(files.certificate.cert_file),
        "USER": APP,
    }
    return {
        **{f"LEASECTL_{name}": text for name, text in common.items()},
        "LEASECTL_PASSWORD_FILE": str(files.password_file(APP)),
        **{f"ETCDCTL_{name}": text for name, text in common.items()},
        "ETCDCTL_PASSWORD": files.password(APP),
    }


def about_users(files: SecureFiles | None) -> list[str]:
    """Who may log in, and where the passwords are."""
    if files is None:
        return []
    return [f"# users {APP} and {ROOT}; their passwords are in {files.directory}"]


def endpoints_lines(endpoints: Sequence[str], files: SecureFiles | None) -> list[str]:
    """The lines that say where the cluster is: all that change when members come and go."""
    programs = ("LEASECTL",) if files is None else ("LEASECTL", "ETCDCTL")
    return [f"export {program}_ENDPOINTS={','.join(endpoints)}" for program in programs]


def lines(endpoints: Sequence[str], files: SecureFiles | None) -> list[str]:
    """The lines that set these variables in a shell, without what is secret."""
    found = endpoints_lines(endpoints, files)
    if files is None:
        return found
    cacert = shlex.quote(str(files.certificate.cert_file))
    password_file = shlex.quote(str(files.password_file(APP)))
    return [
        *found,
        f"export LEASECTL_CACERT={cacert} LEASECTL_USER={APP}",
        f"export LEASECTL_PASSWORD_FILE={password_file}",
        f"export ETCDCTL_CACERT={cacert} ETCDCTL_USER={APP}",
        f'export ETCDCTL_PASSWORD="$(cat {password_file})"',
    ]
