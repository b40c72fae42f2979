"""Compiles cluster/etcd/rpc/protos: `python -m tests.etcd.descriptors` writes descriptors.binpb.

A test compares that file with what the .proto files give, so it cannot be forgotten.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

from cluster.etcd.rpc.schema import DESCRIPTORS


def compiled() -> bytes:
    """The FileDescriptorSet of all .proto files, each behind those that it imports."""
    folder = DESCRIPTORS.parent
    names = sorted(path.name for path in folder.glob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "descriptors"
        status = protoc.main(["protoc", f"-I{folder}", f"--descriptor_set_out={output}", *names])
        if status != 0:
            raise ValueError("the .proto files do not compile: the errors are above")
        return output.read_bytes()


if __name__ == "__main__":
    size = DESCRIPTORS.write_bytes(compiled())
    print(f"{DESCRIPTORS.name}: {size} bytes", file=sys.stderr)
