"""The rules of the source tree: who may import whom, docstrings, sizes, and words that must not be.

Each rule is a function from source to complaints, and is shown to find a planted fault.
"""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.pages import broken_links, rows, unfounded_citations, unknown_constants

ROOT = Path(__file__).resolve().parents[1]
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400
COLUMNS_MAX = 100

LONGER_FUNCTIONS: dict[str, int] = {}
LONGER_FILES: dict[str, int] = {}
"""Exceptions from the limits, `module.function` or module to lines. They may shrink, never grow."""

# --- the import table of the design -----------------------------------------------------------

IMPURE = {"threading", "time", "random", "socket", "os", "logging"}
"""What an engine must not import even of the standard library: time and chance are arguments."""

CODECS = {
    "actors.gateway.answers",
    "actors.gateway.decoded",
    "actors.gateway.desk",
    "actors.gateway.fields",
    "actors.gateway.identities",
    "actors.gateway.intake",
    "actors.gateway.keys",
    "actors.gateway.newcomers",
    "actors.gateway.operations",
    "actors.gateway.passwords",
    "actors.gateway.replies",
    "actors.gateway.requests",
    "actors.gateway.stages",
    "actors.gateway.trail",
    "actors.gateway.transactions",
    "actors.gateway.users",
    "actors.language.codec",
    "actors.language.encoding",
    "actors.raft.callers",
    "actors.raft.codec",
    "actors.raft.for_store",
    "actors.raft.frames",
    "actors.raft.neighbours",
    "actors.raft.runs",
    "actors.store.records",
    "actors.watch.frames",
    "actors.watch.teller",
}
"""Where values become bytes, and bytes values."""

FRONT = "cluster.etcd"
FRONT_PACKAGES = {"google", "hpack", "httptools", "uvloop"}
"""etcd's protocols: the only place for these packages, which a client does not need."""

PROTOBUF_PRINTER = "cluster.cli.protobuf_printer"
"""The only module outside the front that may know etcd's messages: it prints them."""

PAGE_HTTP = "cluster.launcher.web.http"
"""The other module that reads HTTP/1.1: for browsers, with the front's parser."""

FOR_TYPES = "typing_extensions"
"""Type checkers bring it with them; it need not be installed, so nothing may need it to run."""

PYTEST_PLUGIN = "cluster.pytest_plugin"
"""The only module that needs pytest, which loads it."""

FRONT_ENGINES = {"cluster.etcd.http2", "cluster.etcd.rpc"}
"""The rooms of the front that are engines: no clock, no socket, no thread."""

CLIENT_ENGINE = "cluster.client.engine"
"""The engine of a client, for which the same holds."""

CLIENT_FLOWS = "cluster.client.flows"
WAYS_TO_WAIT = {"asyncio", "concurrent", "queue", "selectors", "socket", "threading"}
"""What the flows of a client must not import, since both shells carry them. Types are no matter."""

THIRD_PARTY = {
    "pykka",
    "lmdb",
    "sortedcontainers",
    "zmq",
    "msgpack",
    "click",
    "rich",
    *FRONT_PACKAGES,
}

ENGINE = {"engine"}
CODEC = ENGINE | {"codec"}


class Rights(NamedTuple):
    """What a kind of module may import: packages, kinds in its own room, other rooms or modules."""

    packages: set[str]
    own_room: set[str]
    project: set[str]


RIGHTS = {
    "engine": Rights(
        set(), ENGINE, {"language", "cluster.curve", "cluster.faults", "cluster.schemes"}
    ),
    "codec": Rights(
        {"msgpack"},
        CODEC,
        {
            "language",
            "cluster.addresses",
            "cluster.curve",
            "cluster.faults",
            "cluster.protocol",
            "cluster.schema",
            "cluster.schemes",
            "cluster.users_table",
            "cluster.wire",
        },
    ),
    "disk": Rights(
        {"msgpack", "lmdb"},
        CODEC | {"disk"},
        {"language", "cluster.logs", "cluster.private", "cluster.wire"},
    ),
    "runtime": Rights(
        {"pykka", "zmq"},
        {"runtime"},
        {
            "language",
            "cluster.link_plan",
            "cluster.links",
            "cluster.logs",
            "cluster.peer_links",
            "cluster.private",
            "cluster.processes",
            "cluster.wire",
        },
    ),
    "shell": Rights(
        {"pykka", "zmq"},
        CODEC | {"disk", "shell"},
        {
            "language",
            "runtime",
            "cluster.faults",
            "cluster.links",
            "cluster.logs",
            "cluster.visitors",
            "cluster.wire",
        },
    ),
    "composer": Rights(THIRD_PARTY - FRONT_PACKAGES, set(), {"actors", "cluster"}),
    "front engine": Rights({"google", "hpack"}, set(), {"cluster"}),
    "front": Rights({"msgpack", *FRONT_PACKAGES}, set(), {"cluster"}),
    "client engine": Rights(set(), set(), {"cluster"}),
    "client flow": Rights(set(), set(), {"cluster"}),
    "page http": Rights({"httptools"}, set(), {"cluster"}),
    "cluster": Rights({"zmq", "msgpack", "click", "rich"}, set(), {"cluster"}),
}


def kind_of(module: str) -> str:
    """The row of the table that a module belongs to."""
    if is_in(module, FRONT):
        return "front engine" if any(is_in(module, room) for room in FRONT_ENGINES) else "front"
    if module == PAGE_HTTP:
        return "page http"
    if is_in(module, CLIENT_ENGINE):
        return "client engine"
    if is_in(module, CLIENT_FLOWS):
        return "client flow"
    if module.partition(".")[0] == "cluster":
        return "cluster"
    room = room_of(module)
    if room in {"", "offline"}:
        return "composer"
    if module in CODECS:
        return "codec"
    if module.endswith(".actor"):
        return "shell"
    if room == "runtime":
        return "runtime"
    return "disk" if ".disk." in module else "engine"


def is_in(module: str, package: str) -> bool:
    """Whether a module is this package or below it."""
    return f"{module}.".startswith(f"{package}.")


def room_of(module: str) -> str:
    """`raft` for all that is below `actors.raft`; nothing for what is in no room of a node."""
    parts = module.split(".")
    return parts[1] if parts[0] == "actors" and len(parts) > 2 else ""


class Import(NamedTuple):
    """One imported module; `lazy` inside a function, `for_types` under TYPE_CHECKING."""

    module: str
    line: int
    lazy: bool
    for_types: bool


def imports_of(node: ast.AST, *, lazy: bool = False, for_types: bool = False) -> Iterator[Import]:
    """Every import; `from a import b` is one of `a.b` where that is a module, else of `a`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, lazy, for_types)
        elif isinstance(child, ast.ImportFrom):
            assert child.module is not None, "relative imports are not used here"
            for alias in child.names:
                deeper = f"{child.module}.{alias.name}"
                name = deeper if deeper in MODULES else child.module
                yield Import(name, child.lineno, lazy, for_types)
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield from imports_of(child, lazy=lazy or inside, for_types=for_types or checking)


def forbidden_imports(module: str, source: str) -> list[str]:
    """Imports that the table does not allow."""
    kind = kind_of(module)
    return [
        f"{module}:{found.line} ({kind}) must not import {found.module}"
        for found in imports_of(ast.parse(source))
        if not _may_import(module, kind, found)
    ]


def _may_import(module: str, kind: str, found: Import) -> bool:
    top = found.module.partition(".")[0]
    rights = RIGHTS[kind]
    if is_in(found.module, FRONT):
        is_message = module == PROTOBUF_PRINTER and found.module == f"{FRONT}.rpc.schema"
        return is_message or is_in(module, FRONT)
    if top in {"actors", "cluster"}:
        room, other = room_of(module), room_of(found.module)
        if room and room == other and kind_of(found.module) in rights.own_room:
            return True
        return bool({found.module, other or top, top} & rights.project)
    if top == "sortedcontainers":
        return module == "actors.store.key_order"
    if top == "pytest":
        return module == PYTEST_PLUGIN
    if top == FOR_TYPES:
        return found.for_types
    if top == "rich" and not (found.lazy or found.for_types):
        return False
    if top in THIRD_PARTY:
        return top in rights.packages
    impure = top in IMPURE and kind in {"engine", "front engine", "client engine"}
    if kind == "client flow" and top in WAYS_TO_WAIT and not found.for_types:
        return False
    return top in sys.stdlib_module_names and not impure


# --- the other rules --------------------------------------------------------------------------


def missing_docstring(module: str, source: str) -> list[str]:
    """A module opens with what it owns and what it refuses to know."""
    return [] if ast.get_docstring(ast.parse(source)) else [f"{module} has no docstring"]


def long_functions(module: str, source: str) -> list[str]:
    """Functions over the limit, or over what the list of exceptions grants them."""
    complaints = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            name = f"{module}.{node.name}"
            if lines > LONGER_FUNCTIONS.get(name, FUNCTION_LINES_MAX):
                complaints.append(f"{name} has {lines} lines")
    return complaints


def long_files(module: str, source: str) -> list[str]:
    """A file over the limit, or over what the list of exceptions grants it."""
    lines = source.count("\n")
    limit = LONGER_FILES.get(module, FILE_LINES_MAX)
    return [f"{module} has {lines} lines"] if lines > limit else []


def wide_lines(module: str, source: str) -> list[str]:
    """Lines over the limit."""
    rows = enumerate(source.splitlines(), start=1)
    return [f"{module}:{number} is too wide" for number, row in rows if len(row) > COLUMNS_MAX]


def broad_excepts(module: str, source: str) -> list[str]:
    """Handlers that catch everything and keep it, without a reason on their line."""
    rows = source.splitlines()
    complaints = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "Exception"
            reason = rows[node.lineno - 1].partition("#")[2].strip()
            keeps = ast.unparse(node.body[-1]) != "raise"
            broad = re.search(r"\b(Base)?Exception\b", caught)
            if broad and keeps and len(reason.split()) < 4:
                complaints.append(f"{module}:{node.lineno} catches everything, and gives no reason")
    return complaints


def postponed_work(module: str, source: str) -> list[str]:
    """Notes to do something later: an issue is the place for them."""
    words = r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b"
    return [f"{module}: {word}" for word in re.findall(words, source)]


SLOW_ON_PURPOSE = {"tests.chaos.faulty_disk"}
"""What plays a part that takes its time."""


def sleeps(module: str, source: str) -> list[str]:
    """Calls of anything named sleep: a test waits for a condition."""
    if module in SLOW_ON_PURPOSE:
        return []
    return [
        f"{module}:{node.lineno} sleeps"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and re.search(r"(^|\.)sleep$", ast.unparse(node.func))
    ]


PLACES = "|".join(
    [
        "(?<![a-z.])/" + "work/",
        "/tmp/" + "venv",
        r"\bfarm" + "-[a-z]+",
        r"\bpy" + r"pi\.",
        "files.python" + "hosted",
        "artifact" + "ory",
    ]
)


def names_of_places(module: str, source: str) -> list[str]:
    """Where the text was written, or fetched from, is nobody's business."""
    return [f"{module} names {found}" for found in re.findall(PLACES, source)]


def unused_modules(sources: dict[str, str], entry_points: set[str]) -> list[str]:
    """Modules that nothing imports, not even by name in a table of lazy imports."""
    used = set(entry_points)
    for module, source in sources.items():
        tree = ast.parse(source)
        used |= {found.module for found in imports_of(tree) if found.module != module}
        used |= {
            node.value.partition(":")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
    return [f"{module} is imported by nobody" for module in sources if module not in used]


def import_circles(sources: dict[str, str]) -> list[list[str]]:
    """Groups of modules each of which reaches every other by imports, lazy and for types too."""
    arrows = {
        module: {found.module for found in imports_of(ast.parse(source))} & sources.keys()
        for module, source in sources.items()
    }
    reached = {module: _reached_from(module, arrows) for module in sources}
    circles = {
        frozenset(other for other in reached[module] if module in reached[other])
        for module in sources
        if module in reached[module]
    }
    return sorted(sorted(circle) for circle in circles)


def _reached_from(module: str, arrows: dict[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    ahead = [module]
    while ahead:
        further = arrows[ahead.pop()] - reached
        reached |= further
        ahead += further
    return reached


# --- the tree ---------------------------------------------------------------------------------


def module_name(path: Path) -> str:
    """`actors/raft/core.py` is `actors.raft.core`, a package's file the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def modules_in(*folders: str) -> dict[str, str]:
    """Every module below these folders, with its source."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {module_name(path): path.read_text(encoding="utf-8") for path in paths}


MODULES = modules_in("actors", "cluster")
TESTS = modules_in("tests")
SCRIPTS = {"run_cluster": (ROOT / "run_cluster.py").read_text(encoding="utf-8")}


def texts() -> dict[str, str]:
    """Every text file of the repository."""
    skipped = {".git", ".venv", "__pycache__", "cluster-data", "dist", "build"}
    found = {}
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        hidden = parts[0].startswith(".") and parts[0] not in {".ci", ".github", ".gitignore"}
        if path.is_file() and not hidden and not skipped & set(parts):
            found["/".join(parts)] = path.read_text(encoding="utf-8", errors="replace")
    return found


def entry_points() -> set[str]:
    """The modules that are started rather than imported."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    started = (project["scripts"], *project["entry-points"].values())
    scripts = {target.partition(":")[0] for each in started for target in each.values()}
    packages = {module for module in MODULES if (ROOT / module.replace(".", "/")).is_dir()}
    return scripts | packages | {module for module in MODULES if module.endswith(".__main__")}


Rule = Callable[[str, str], list[str]]
PageRule = Callable[[str, str, Mapping[str, str]], list[str]]


@pytest.mark.parametrize(
    ("rule", "tree"),
    [
        (forbidden_imports, MODULES),
        (missing_docstring, {**MODULES, **SCRIPTS, **{m: s for m, s in TESTS.items() if s}}),
        (long_functions, {**MODULES, **SCRIPTS}),
        (long_files, {**MODULES, **SCRIPTS}),
        (wide_lines, {**MODULES, **TESTS, **SCRIPTS}),
        (broad_excepts, {**MODULES, **TESTS, **SCRIPTS}),
        (sleeps, TESTS),
        (postponed_work, texts()),
        (names_of_places, texts()),
    ],
)
def test_the_tree_keeps_the_rule(rule: Rule, tree: dict[str, str]) -> None:
    complaints = [line for module, source in tree.items() for line in rule(module, source)]
    assert complaints == []


TEXTS = texts()
WORDS = (".md", ".py", ".toml")
"""The endings of files that people read, and that may point somewhere."""


@pytest.mark.parametrize(
    ("rule", "endings"),
    [
        (broken_links, (".md",)),
        (unknown_constants, (".md",)),
        (unfounded_citations, WORDS),
    ],
)
def test_what_pages_and_docstrings_point_to_is_there(
    rule: PageRule, endings: tuple[str, ...]
) -> None:
    read = {path: text for path, text in TEXTS.items() if path.endswith(endings)}
    assert [line for path, text in read.items() for line in rule(path, text, TEXTS)] == []


def test_a_page_has_the_limits_that_the_code_has() -> None:
    for name, value, path, *_ in rows(TEXTS["actors/DESIGN.md"], "| constant |"):
        module = importlib.import_module(module_name(ROOT / path))
        assert hasattr(module, name), f"the page's table of limits has {name} in {path}"
        assert as_a_page_says(name, getattr(module, name)) == value, f"{name} in {path}"


def as_a_page_says(name: str, limit: int) -> str:
    """A limit with its unit, which its name tells."""
    if "_BYTES" in name or name.startswith("BYTES"):
        for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if limit % size == 0:
                return f"{limit // size:,} {unit}"
    return f"{limit:,} ms" if name.endswith("_MS") else f"{limit:,}"


def test_no_module_is_imported_by_nobody() -> None:
    assert unused_modules({**MODULES, **SCRIPTS}, entry_points() | set(SCRIPTS)) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert import_circles({**MODULES, **SCRIPTS}) == []


@pytest.mark.process
def test_a_program_that_needs_the_client_gets_nothing_of_a_node() -> None:
    script = (
        "import sys, cluster; cluster.Client; "
        "print(*{'actors', 'pykka', 'lmdb', 'click', 'rich', 'google'} & set(sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "\n", "")


@pytest.mark.parametrize(
    ("rule", "module", "source"),
    [
        (forbidden_imports, "actors.raft.core", "import time"),
        (forbidden_imports, "actors.raft.core", "def f():\n    from os import path"),
        (forbidden_imports, "actors.raft.core", "import msgpack"),
        (forbidden_imports, "actors.raft.core", "from actors.runtime.base import Ring"),
        (forbidden_imports, "actors.raft.core", "from actors.raft.actor import RaftActor"),
        (forbidden_imports, "actors.raft.log", "from actors.raft.disk.wal import Wal"),
        (forbidden_imports, "actors.raft.core", "from actors.store.mvcc import RevisionStore"),
        (forbidden_imports, "actors.lease.book", "from actors.store.mvcc import Store"),
        (forbidden_imports, "actors.language.messages", "from actors.raft.rpc import Heartbeat"),
        (forbidden_imports, "actors.runtime.base", "from actors.raft.log import RaftLog"),
        (forbidden_imports, "actors.store.mvcc", "from sortedcontainers import SortedDict"),
        (forbidden_imports, "actors.store.disk.backend", "import zmq"),
        (forbidden_imports, "actors.watch.actor", "from actors.store.machine import Machine"),
        (forbidden_imports, "actors.gateway.actor", "import lmdb"),
        (forbidden_imports, "cluster.client.engine.core", "from actors.runtime.base import Ring"),
        (forbidden_imports, "cluster.client.engine.core", "import pykka"),
        (forbidden_imports, "cluster.client.engine.core", "import zmq"),
        (forbidden_imports, "cluster.client.flows.lock", "import asyncio"),
        (forbidden_imports, "cluster.client.flows.lock", "from threading import Lock"),
        (forbidden_imports, "cluster.client.engine.core", "from time import monotonic"),
        (forbidden_imports, "cluster.client.engine.core", "import google.protobuf"),
        (forbidden_imports, "cluster.launcher", "import cluster.etcd"),
        (forbidden_imports, "actors.node", "from cluster.etcd.rpc.schema import RPCS"),
        (forbidden_imports, "actors.node", "import httptools"),
        (forbidden_imports, "cluster.launcher.web.server", "import httptools"),
        (forbidden_imports, "cluster.etcd.front", "import zmq"),
        (forbidden_imports, "cluster.etcd.rpc.schema", "import time"),
        (forbidden_imports, "cluster.cli", "import rich.table"),
        (forbidden_imports, "cluster.cli", "import requests"),
        (forbidden_imports, "cluster.client.results", "import typing_extensions"),
        (forbidden_imports, "cluster.launcher.local", "import pytest"),
        (forbidden_imports, "actors.node", "def f():\n    from tests.chaos import node"),
        (missing_docstring, "m", "x = 1"),
        (long_functions, "m", "def f():\n" + "    pass\n" * FUNCTION_LINES_MAX),
        (long_files, "m", "pass\n" * (FILE_LINES_MAX + 1)),
        (wide_lines, "m", "x" * (COLUMNS_MAX + 1)),
        (broad_excepts, "m", "try:\n    f()\nexcept Exception:\n    pass"),
        (broad_excepts, "m", "try:\n    f()\nexcept:  # why?\n    pass"),
        (broad_excepts, "m", "try:\n    f()\nexcept (OSError, BaseException) as e:\n    pass"),
        (sleeps, "m", "import time\ntime.sleep(1)"),
        (postponed_work, "m", "# " + "TO" + "DO: later"),
        (names_of_places, "m", "see /" + "work/here"),
    ],
)
def test_each_rule_finds_a_planted_fault(rule: Rule, module: str, source: str) -> None:
    assert len(rule(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("actors.raft.core", "import heapq\nfrom actors.raft.rpc import Entry"),
        ("actors.store.key_order", "from sortedcontainers import SortedDict"),
        ("actors.node", "import zmq\nfrom cluster.config import NodeConfig"),
        ("cluster.cli", "if TYPE_CHECKING:\n    import typing_extensions"),
        ("cluster.cli", "def table():\n    from rich.table import Table"),
        ("cluster.etcd.rpc.schema", "from google.protobuf.message import Message"),
        (PAGE_HTTP, "import asyncio, httptools"),
        ("cluster.etcd.front", "import time, httptools\nfrom cluster.etcd.rpc import schema"),
    ],
)
def test_what_the_table_allows_is_no_fault(module: str, source: str) -> None:
    assert forbidden_imports(module, source) == []


def test_a_module_that_nobody_imports_is_found() -> None:
    sources = {"a": "import b", "b": "LAZY = 'c:main'", "c": "", "d": "import d"}
    assert unused_modules(sources, {"a"}) == ["d is imported by nobody"]


@pytest.mark.parametrize(
    "back",
    ["import a", "def f():\n    import a", "if TYPE_CHECKING:\n    import a"],
)
def test_a_circle_of_imports_is_found(back: str) -> None:
    sources = {"a": "import b", "b": "import c\nimport d", "c": back, "d": "import os"}
    assert import_circles(sources) == [["a", "b", "c"]]


PAGES = {
    "README.md": "# What it is\n\n## How it works, and why\n\n```sh\n# no heading\n```\n",
    "rooms/DESIGN.md": "## Time\n## Time\n",
    "tests/README.md": "",
    "tests/test_one.py": "ROWS_MAX: Final = 1\n",
}


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (broken_links, "README.md", "[design](DESIGN.md)"),
        (broken_links, "rooms/DESIGN.md", "[read](../tests/READTHIS.md)"),
        (broken_links, "README.md", "[how](#how-it-works)"),
        (broken_links, "README.md", "[a comment](#no-heading)"),
        (broken_links, "README.md", "[time](rooms/DESIGN.md#time-2)"),
        (unknown_constants, "README.md", "at most `ROWS_MIN`"),
        (unfounded_citations, "README.md", "see `tests/test_two.py`"),
        (unfounded_citations, "README.md", "see `GLOSSARY.md`"),
        (unfounded_citations, "m.py", '"""The rules (DESIGN.md#clocks)."""'),
        (unfounded_citations, "m.py", '"""The rules (DESIGN 4)."""'),
        (unfounded_citations, "m.py", '"""The rules (DESIGN.md)."""\n\nX = 1  # see two.py'),
        (unfounded_citations, "m.py", 'X = 1\n"""One of many (reference: the old one)."""'),
        (unfounded_citations, "m.toml", '"pykka",  # tests/one/test_one.py is the contract'),
    ],
)
def test_each_rule_of_pages_finds_a_planted_fault(rule: PageRule, path: str, text: str) -> None:
    assert len(rule(path, text, PAGES)) == 1


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (broken_links, "rooms/DESIGN.md", "[how](../README.md#how-it-works-and-why)"),
        (broken_links, "README.md", "[t](rooms/DESIGN.md#time-1) [all](rooms/) [web](https://a.b)"),
        (unknown_constants, "README.md", "`ROWS_MAX` of `LEASEHOLD_DATA_DIR`"),
        (unfounded_citations, "m.py", '"""By DESIGN.md#time and tests/README.md, test_one.py."""'),
        (unfounded_citations, "m.py", 'STYLE = "DESIGN 4, two.py"'),
    ],
)
def test_what_is_there_is_no_fault(rule: PageRule, path: str, text: str) -> None:
    assert rule(path, text, PAGES) == []
