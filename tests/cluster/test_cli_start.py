"""How much leasectl loads: modules are counted, since time depends on the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.cluster.probe import ProbeCluster
from tests.limits import HANG_SECONDS

pytestmark = pytest.mark.process

OWN_MODULES_MAX = 80
OTHER_MODULES_MAX = 14
"""Beside what click, logging, msgpack and zmq load: on the Python of 3.11 there are 12."""

NEEDLESS = {"asyncio", "hashlib", "ipaddress", "pathlib", "selectors", "socket", "ssl"} | {
    *("subprocess", "tempfile", "urllib", "cluster.client.api", "cluster.client.flows.lock"),
}
"""Each takes milliseconds, and a get needs none of them."""

PROGRAM = """
import json, sys
import click, logging, msgpack, zmq
before = set(sys.modules)
from cluster.cli import main
try:
    main(["get", "k"])
finally:
    print(json.dumps(sorted(sys.modules.keys() - before)))
"""


def test_get_loads_no_more_modules_than_it_needs() -> None:
    with ProbeCluster(1) as probes:
        probes.store.apply({"op": "put", "key": b"k", "value": b"v"})
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "LEASECTL_ENDPOINTS": probes.endpoints[0]},
            capture_output=True,
            timeout=HANG_SECONDS,
            check=True,
        )
    key, value, listed = ended.stdout.splitlines()
    assert (key, value) == (b"k", b"v")
    loaded = json.loads(listed)
    own = {name for name in loaded if name.partition(".")[0] == "cluster"}
    others = set(loaded) - own
    assert not set(loaded) & NEEDLESS
    assert len(own) <= OWN_MODULES_MAX, sorted(own)
    assert len(others) <= OTHER_MODULES_MAX, sorted(others)
