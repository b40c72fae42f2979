"""What is installed is typed: a user's type checker reads the package's annotations."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent

PAGE = Path("cluster/launcher/web/page")

DATA = {
    "cluster/etcd/rpc/protos/rpc.proto",
    "cluster/etcd/rpc/protos/descriptors.binpb",
    *(str(PAGE / path.name) for path in (ROOT / PAGE).iterdir()),
}

PROGRAM = """
from cluster import Client

with Client() as client:
    reveal_type(client.get("k"))
    reveal_type(client.lock("job").is_held)
    client.put(3)

with Client(text=True) as texts:
    reveal_type(texts.get("k"))
    for event in texts.watch("k"):
        reveal_type(event.kv.key)
"""


def test_a_users_program_is_checked_against_the_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv/bin/python"
    (packages,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        whole = {"cluster/py.typed", "actors/py.typed", *DATA}
        assert whole <= set(archive.namelist())
        archive.extractall(packages)
    # What it depends on is where the tests' own is.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    key_value, is_held, wrong, text, key, *_ = checked.stdout.splitlines()
    assert "note: Revealed type" in key_value and "KeyValue[bytes]" in key_value, checked.stdout
    assert "KeyValue[str]" in text and 'Revealed type is "str"' in key, checked.stdout
    assert "note: Revealed type" in is_held and "bool" in is_held
    assert "error:" in wrong and 'incompatible type "int"' in wrong
    assert "Found 1 error" in checked.stdout
