"""A node that serves TLS, as a process: gRPC, JSON and metrics inside TLS, and its life."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from cluster import Client
from cluster.aio import Client as AsyncClient
from cluster.errors import LeaseholdError
from cluster.etcd.rpc.schema import message_class
from cluster.processes import import_environment
from tests.certificates import Authority, Pair
from tests.cluster.probe import until
from tests.differential.secured import LEASEHOLD, Secured, TlsClient
from tests.limits import HANG_SECONDS, PATIENT

VALUES = 40
VALUE_BYTES = 256 * 1024
PATIENCE = f"{HANG_SECONDS:g}s"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def alice(authority: Authority) -> Pair:
    return authority.issue("alice", ())


def served_by(pair: Pair, *more: str, schemes: tuple[str, ...] = ("https",)) -> Secured:
    flags = [f"--cert-file={pair.cert}", f"--key-file={pair.key}", *more]
    return Secured(LEASEHOLD, schemes, flags)


@pytest.fixture(scope="module")
def node(authority: Authority, alice: Pair) -> Iterator[Secured]:
    """A node that wants clients' certificates."""
    server = authority.issue("server")
    with served_by(server, f"--trusted-ca-file={authority.cert}", "--client-cert-auth") as made:
        made.wait_until_it_answers(TlsClient(authority, alice))
        yield made


def channel_to(node: Secured, ca: Path, pair: Pair | None = None) -> grpc.Channel:
    files = (None, None) if pair is None else (pair.key.read_bytes(), pair.cert.read_bytes())
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), *files)
    options = [("grpc.max_receive_message_length", -1)]
    return grpc.secure_channel(f"localhost:{node.port}", credentials, options)


def unary(channel: grpc.Channel, method: str, request: str, response: str) -> Callable[..., Any]:
    """A function that calls a method of the KV service with the fields of a request."""
    make = message_class(f"etcdserverpb.{request}")
    parse = message_class(f"etcdserverpb.{response}").FromString
    call = channel.unary_unary(
        f"/etcdserverpb.KV/{method}", lambda message: message.SerializeToString(), parse
    )
    return lambda **fields: call(make(**fields), timeout=HANG_SECONDS)


def test_grpc_carries_large_answers_and_long_streams_inside_tls(
    node: Secured, authority: Authority, alice: Pair
) -> None:
    create = message_class("etcdserverpb.WatchRequest")
    parse = message_class("etcdserverpb.WatchResponse").FromString
    with channel_to(node, authority.cert, alice) as channel:
        put = unary(channel, "Put", "PutRequest", "PutResponse")
        get = unary(channel, "Range", "RangeRequest", "RangeResponse")
        watch = channel.stream_stream(
            "/etcdserverpb.Watch/Watch", lambda message: message.SerializeToString(), parse
        )
        asked = create(create_request={"key": b"large/", "range_end": b"large0"})
        stream = watch(iter([asked]))
        assert next(stream).created
        for number in range(VALUES):
            put(key=b"large/%03d" % number, value=bytes([number]) * VALUE_BYTES)
        found = get(key=b"large/", range_end=b"large0")
        assert [kv.value for kv in found.kvs] == [bytes([n]) * VALUE_BYTES for n in range(VALUES)]
        # The events have waited: nobody read them until now.
        events: list[Any] = []
        while len(events) < VALUES:
            events += next(stream).events
        assert [event.kv.value for event in events] == [kv.value for kv in found.kvs]
        stream.cancel()


def test_a_client_without_a_certificate_gets_nothing(node: Secured, authority: Authority) -> None:
    with channel_to(node, authority.cert) as channel:
        put = unary(channel, "Put", "PutRequest", "PutResponse")
        with pytest.raises(grpc.RpcError) as refused:
            put(key=b"a", value=b"b")
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_json_and_metrics_are_served_inside_tls(
    node: Secured, authority: Authority, alice: Pair
) -> None:
    context = TlsClient(authority, alice).context()

    def ask(path: str, body: dict[str, Any] | None = None) -> bytes:
        url = f"https://localhost:{node.port}{path}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(url, data, HANG_SECONDS, context=context) as answer:
            got: bytes = answer.read()
            return got

    key = b64encode(b"by json").decode()
    ask("/v3/kv/put", {"key": key, "value": key})
    assert json.loads(ask("/v3/kv/range", {"key": key}))["kvs"][0]["value"] == key
    (member,) = json.loads(ask("/v3/cluster/member/list", {}))["members"]
    assert member["clientURLs"] == [f"https://127.0.0.1:{node.port}"]
    assert b"etcd_server_has_leader 1" in ask("/metrics")


def test_the_common_name_of_a_certificate_is_the_user_of_grpc_alone(
    authority: Authority, alice: Pair
) -> None:
    def ask(client: Client, op: str, **fields: Any) -> None:
        client.request({"op": op, **fields}, lambda reply: None)

    ca = authority.cert
    tls = [f"--trusted-ca-file={ca}", "--client-cert-auth"]
    with served_by(authority.issue("server"), *tls) as node:
        known = TlsClient(authority, alice)
        node.wait_until_it_answers(known)
        files: dict[str, Any] = {"ca_cert": ca, "cert": alice.cert, "key": alice.key}
        files |= {"timeout": HANG_SECONDS, "dial_timeout": HANG_SECONDS}
        with Client(f"https://localhost:{node.port}", **files) as client:
            ask(client, "role_add", name="reader")
            permission = {"permType": 2, "key": b"open/", "range_end": b"open0"}
            ask(client, "role_grant_permission", name="reader", perm=permission)
            for user, role in (("root", "root"), ("alice", "reader")):
                ask(
                    client,
                    "user_add",
                    name=user,
                    options={"no_password": user != "root"},
                    password="secret" if user == "root" else "",
                )
                if role == "root":
                    ask(client, "role_add", name="root")
                ask(client, "user_grant_role", user=user, role=role)
            ask(client, "auth_enable")
            # Its bytes are passed on: what certificate it has, the node does not know.
            with pytest.raises(LeaseholdError, match="user name is empty"):
                client.put(b"open/a", b"1")
        with channel_to(node, ca, alice) as channel:
            put = unary(channel, "Put", "PutRequest", "PutResponse")
            put(key=b"open/a", value=b"1")
            with pytest.raises(grpc.RpcError) as refused:
                put(key=b"closed", value=b"1")
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        url = f"https://localhost:{node.port}/v3/kv/range"
        key = json.dumps({"key": b64encode(b"open/a").decode()}).encode()
        with pytest.raises(urllib.error.HTTPError) as empty:
            urllib.request.urlopen(url, key, HANG_SECONDS, context=known.context())
        assert json.loads(empty.value.read())["message"] == "etcdserver: user name is empty"


# --- our own clients --------------------------------------------------------------------------


def test_the_client_does_all_inside_tls_and_goes_on_when_the_front_is_killed(
    node: Secured, authority: Authority, alice: Pair
) -> None:
    endpoint = f"https://localhost:{node.port}"
    files: dict[str, Any] = {"ca_cert": authority.cert, "cert": alice.cert, "key": alice.key}
    large = bytes(range(256)) * 4_000
    with Client(endpoint, **PATIENT, **files) as client:
        with client.watch(b"own/", prefix=True) as watch:
            client.put(b"own/large", large)
            for number in range(VALUES):
                client.put_async(b"own/%03d" % number, large[: number * 5_000])
            found = client.get_prefix(b"own/")
            assert found[-1].value == large
            node.kill_front()
            client.put(b"own/last", b"after the front was killed")
            seen: list[bytes] = []
            while not seen or seen[-1] != b"own/last":
                seen.append(next(watch).kv.key)
            assert len(seen) == len(set(seen)) == VALUES + 2
        with client.lock(b"held"):
            assert client.get_prefix(b"held")
        assert client.member_list().members[0].client_urls == (f"https://127.0.0.1:{node.port}",)


def test_the_asyncio_client_works_inside_tls(
    node: Secured, authority: Authority, alice: Pair
) -> None:
    async def program() -> bytes:
        endpoint = f"https://localhost:{node.port}"
        files: dict[str, Any] = {"ca_cert": authority.cert, "cert": alice.cert, "key": alice.key}
        files |= {"timeout": HANG_SECONDS, "dial_timeout": HANG_SECONDS}
        async with AsyncClient(endpoint, **files) as client:
            await asyncio.gather(*(client.put(b"aio/%d" % n, b"v") for n in range(100)))
            found = await client.get_prefix(b"aio/")
            return b"".join(pair.value for pair in found)

    assert asyncio.run(program()) == b"v" * 100


def leasectl(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in import_environment().items() if "CTL_" not in name}
    patient = dict.fromkeys(("LEASECTL_DIAL_TIMEOUT", "LEASECTL_COMMAND_TIMEOUT"), PATIENCE)
    return subprocess.run(
        [sys.executable, "-P", "-m", "cluster.cli", *words],
        env={**kept, **patient, **variables},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def test_leasectl_takes_the_flags_and_variables_of_etcdctl(
    node: Secured, authority: Authority, alice: Pair
) -> None:
    endpoint = f"localhost:{node.port}"  # files say that it is inside TLS
    flags = [f"--cacert={authority.cert}", f"--cert={alice.cert}", f"--key={alice.key}"]
    done = leasectl("put", "by-leasectl", "1", f"--endpoints={endpoint}", *flags)
    assert (done.returncode, done.stdout, done.stderr) == (0, "OK\n", "")
    variables = {
        "ETCDCTL_ENDPOINTS": f"https://{endpoint}",
        "ETCDCTL_CACERT": str(authority.cert),
        "LEASECTL_CERT": str(alice.cert),
        "LEASECTL_KEY": str(alice.key),
    }
    done = leasectl("endpoint", "health", "--cluster", **variables)
    assert done.stdout.startswith(f"https://127.0.0.1:{node.port} is healthy")
    variables["ETCDCTL_CACERT"] = str(alice.cert)
    reason = "x509: certificate signed by unknown authority"
    for seconds in (1, 4, 16, 64):  # a machine may be slow to shake hands
        limits = (f"--dial-timeout={seconds}s", f"--command-timeout={seconds}s")
        done = leasectl("get", "by-leasectl", *limits, **variables)
        assert done.returncode == 1
        if reason in done.stderr:
            break
    assert reason in done.stderr
    done = leasectl("get", "by-leasectl", "--insecure-skip-tls-verify", **variables)
    assert (done.returncode, done.stdout) == (0, "by-leasectl\n1\n")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("bench put --total=20 --clients=4 --conns=3", "put: "),
        ("check datascale --keys=60", "Start data scale check for work load [60 key-value pairs"),
        ("top --plain", "1 node, "),
    ],
)
def test_loads_and_looks_go_inside_tls_with_a_certificate(
    node: Secured, authority: Authority, alice: Pair, words: str, shown: str
) -> None:
    endpoint = f"--endpoints=https://localhost:{node.port}"
    flags = [f"--cacert={authority.cert}", f"--cert={alice.cert}", f"--key={alice.key}"]
    done = leasectl(*words.split(), endpoint, *flags)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(shown)
    assert "failed" not in done.stdout


def test_a_load_and_a_look_say_why_there_is_no_way_inside_tls(
    node: Secured, authority: Authority, alice: Pair
) -> None:
    reason = "x509: certificate signed by unknown authority"
    for words in (("bench", "put"), ("top", "--plain")):
        variables = {"ETCDCTL_ENDPOINTS": f"https://localhost:{node.port}"}
        for seconds in (1, 4, 16, 64):  # a machine may be slow to shake hands
            limits = (f"--dial-timeout={seconds}s", f"--cacert={alice.cert}")
            done = leasectl(*words, *limits, **variables)
            assert done.returncode != 0
            if reason in done.stderr:
                break
        assert reason in done.stderr


# --- the life of a node -----------------------------------------------------------------------


def test_a_node_that_stops_ends_its_streams_inside_tls_in_order(authority: Authority) -> None:
    watched = message_class("etcdserverpb.WatchRequest")(create_request={"key": b"a"})
    parse = message_class("etcdserverpb.WatchResponse").FromString
    with served_by(authority.issue("server")) as node:
        node.wait_until_it_answers(TlsClient(authority))
        with channel_to(node, authority.cert) as channel:
            watch = channel.stream_stream(
                "/etcdserverpb.Watch/Watch", lambda message: message.SerializeToString(), parse
            )
            stream = watch(iter([watched]))
            assert next(stream).created
            assert node.stop() == 0
            with pytest.raises(grpc.RpcError) as ended:
                next(stream)
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_node_makes_its_own_certificate_and_takes_http_on_the_same_port() -> None:
    with Secured(LEASEHOLD, ("https", "http"), ["--auto-tls"]) as node:
        node.wait_until_it_answers(TlsClient(None))
        cert = node.data / "fixtures" / "client" / "cert.pem"
        with channel_to(node, cert) as channel:
            unary(channel, "Put", "PutRequest", "PutResponse")(key=b"a", value=b"b")
        context = ssl.create_default_context(cafile=str(cert))
        url = f"https://127.0.0.1:{node.port}/health"
        with urllib.request.urlopen(url, timeout=HANG_SECONDS, context=context) as answer:
            assert answer.status == 200


def test_the_front_serves_on_with_new_files_when_it_was_killed(authority: Authority) -> None:
    pair = authority.issue("first", file="kept")
    with served_by(pair) as node:
        node.wait_until_it_answers(TlsClient(authority))
        authority.issue("second", file="kept")
        node.kill_front()
        until(lambda: node.health(TlsClient(authority)) == "200")


def test_a_node_whose_certificate_cannot_be_used_says_so_in_one_line(
    authority: Authority, tmp_path: Path
) -> None:
    pair = authority.issue("good")
    with served_by(Pair(pair.cert, tmp_path / "none")) as node:
        assert node.ended()
        said = f"leasehold: --key-file={tmp_path / 'none'}: No such file or directory\n"
        assert node.log == said
