"""A secure cluster's secrets, records and lines to paste: without nodes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cluster.client.identity import identity_for
from cluster.curve import new_pair
from cluster.faults import FAULTS
from cluster.key_files import CLIENT, MEMBER, MEMBER_FILE, read, write
from cluster.launcher.arguments import parse
from cluster.launcher.local import LocalCluster
from cluster.launcher.nodes.files import DataDirectory
from cluster.launcher.nodes.layout import Certificate, LauncherError, flags_of, founder
from cluster.launcher.ports import Ports
from cluster.launcher.secure import pasting
from cluster.launcher.secure.files import PEOPLE, MemberKey, SecureFiles
from cluster.launcher.secure.refusals import explained
from cluster.private import make_directory
from cluster.schemes import TCP
from cluster.tls.asking import client_context
from cluster.tls.files import ARGUMENTS, ClientFiles

pytestmark = pytest.mark.process  # openssl makes the certificate

KEYS = ["aa" * 32, "bb" * 32]
ENDPOINTS = ["https://127.0.0.1:1", "https://127.0.0.1:3"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SecureFiles:
    """The secrets of a data directory."""
    files = SecureFiles(tmp_path_factory.mktemp("data"))
    files.make()
    return files


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def test_only_their_owner_may_read_the_secrets(made: SecureFiles) -> None:
    found = modes(made.directory)
    assert found.pop("cert.pem") == 0o644, "it is no secret"
    assert set(found) == {"key.pem", "launcher.key", "root.password", "app.password"}
    assert set(found.values()) == {0o600}
    assert stat.S_IMODE(made.directory.stat().st_mode) == 0o700


def test_secrets_are_made_once(made: SecureFiles) -> None:
    before = {path.name: path.read_bytes() for path in made.directory.iterdir()}
    SecureFiles(made.directory.parent).make()
    assert {path.name: path.read_bytes() for path in made.directory.iterdir()} == before
    assert made.password("root") != made.password("app")
    assert made.pair == read(made.key_file, CLIENT).pair


def test_without_openssl_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LauncherError, match="needs the program openssl"):
        SecureFiles(tmp_path).make()


def test_a_client_believes_the_certificate_as_an_authority(made: SecureFiles) -> None:
    client_context(ClientFiles(str(made.certificate.cert_file), "", "", False), ARGUMENTS)


def test_the_key_of_a_member_is_made_in_a_private_directory(tmp_path: Path) -> None:
    key = MemberKey(tmp_path / "n1")
    assert key.now() == "", "there is none yet"
    public = key.make()
    assert (key.make(), key.now()) == (public, public)
    assert key.make(anew=True) != public
    assert key.now() == read(tmp_path / "n1" / MEMBER_FILE, MEMBER).pair.public
    assert stat.S_IMODE((tmp_path / "n1").stat().st_mode) == 0o700


def test_a_member_that_changes_its_key_is_reached_under_the_next(tmp_path: Path) -> None:
    key = MemberKey(tmp_path)
    key.make()
    held = read(tmp_path / MEMBER_FILE, MEMBER)
    following = new_pair()
    write(tmp_path / MEMBER_FILE, MEMBER, held._replace(next=following))
    assert key.now() == following.public
    (tmp_path / MEMBER_FILE).unlink()
    assert key.now() == following.public, "as it was last"


def test_each_directory_on_the_way_to_a_private_one_is_private(tmp_path: Path) -> None:
    make_directory(tmp_path / "a" / "b" / "c")
    for path in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_the_flags_of_a_secure_node_name_keys_and_a_certificate(tmp_path: Path) -> None:
    nodes = [
        founder(name, ports)._replace(key=key)
        for name, ports, key in zip(("n1", "n2"), (Ports(1, 2), Ports(3, 4)), KEYS, strict=True)
    ]
    certificate = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    flags = flags_of(nodes[0], nodes, "d", 5, certificate)
    assert flags["initial-cluster"] == (
        f"n1=tcp://127.0.0.1:2#{KEYS[0]},n2=tcp://127.0.0.1:4#{KEYS[1]}"
    )
    assert flags["listen-client-urls"] == "https://127.0.0.1:1,tcp://127.0.0.1:5"
    assert flags["listen-peer-urls"] == "tcp://127.0.0.1:2"
    assert flags["client-keys"] == "true"
    assert (flags["cert-file"], flags["key-file"]) == tuple(map(str, certificate))


def test_a_key_is_recorded_with_its_node(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    try:
        MemberKey(directory.node_directory("n1")).make()
        records = (founder("n1", Ports(1, 2))._replace(key=KEYS[0]),)
        directory.record_nodes(records)
        assert directory.recorded_nodes() == records
    finally:
        directory.release()


def test_a_cluster_stays_secure_or_insecure(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    MemberKey(directory.node_directory("n1")).make()
    record = founder("n1", Ports(1, 2))
    directory.record_nodes([record])
    directory.release()
    with pytest.raises(LauncherError, match="holds a cluster without keys, and it cannot get any"):
        LocalCluster(data_dir=tmp_path, secure=True)
    directory = DataDirectory(tmp_path)
    directory.record_nodes([record._replace(key=KEYS[0])])
    directory.release()
    cluster = LocalCluster(data_dir=tmp_path)  # it remembers
    try:
        assert cluster.secure is not None
        assert cluster.endpoints == ["https://127.0.0.1:1"]
        (endpoint,) = cluster.direct_endpoints
        assert endpoint.partition("#")[2] == MemberKey(tmp_path / "n1").now()
    finally:
        cluster.close()


def test_the_lines_to_paste_name_files_and_no_password(made: SecureFiles) -> None:
    lines = "\n".join([*pasting.about_users(made), *pasting.lines(ENDPOINTS, made)])
    assert f"LEASECTL_ENDPOINTS={','.join(ENDPOINTS)}" in lines
    assert f"ETCDCTL_ENDPOINTS={','.join(ENDPOINTS)}" in lines
    assert f"LEASECTL_CACERT={made.certificate.cert_file} LEASECTL_USER=app" in lines
    assert f"LEASECTL_PASSWORD_FILE={made.password_file('app')}" in lines
    assert f'ETCDCTL_PASSWORD="$(cat {made.password_file("app")})"' in lines
    assert not any(made.password(user) in lines for user in PEOPLE)


def test_a_program_gets_what_leasectl_and_etcdctl_read(made: SecureFiles) -> None:
    variables = pasting.variables(ENDPOINTS, made)
    assert variables["LEASECTL_PASSWORD_FILE"] == str(made.password_file("app"))
    assert variables["ETCDCTL_PASSWORD"] == made.password("app")
    for prefix in ("LEASECTL_", "ETCDCTL_"):
        assert variables[f"{prefix}USER"] == "app"
        assert variables[f"{prefix}CACERT"] == str(made.certificate.cert_file)
    assert pasting.variables(["a:1"], None) == {"LEASECTL_ENDPOINTS": "a:1"}


def test_the_launchers_own_clients_have_its_key(made: SecureFiles) -> None:
    addresses = {"n1": f"{TCP}127.0.0.1:1#{KEYS[0]}"}
    files = ClientFiles("", "", "", False)
    assert identity_for(addresses, files, str(made.key_file), {}).pair == made.pair


def test_a_refusal_as_nobody_says_what_to_do() -> None:
    text = explained(FAULTS["UserEmpty"].message)
    assert text.startswith("etcdserver: user name is empty: ")
    assert "leasectl --user NAME" in text
    assert "role root" in explained(FAULTS["PermissionDenied"].message)
    assert explained("etcdserver: unhealthy cluster") == "etcdserver: unhealthy cluster"


def test_secure_is_a_flag_of_all_that_starts_a_cluster() -> None:
    assert parse(["--secure"]).secure
    assert parse(["chaos", "--secure", "--for", "1s"]).secure
    assert parse(["--secure", "--", "true"]).secure
    assert not parse([]).secure
