"""What pages and docstrings point to: files, pages, sections, constants. Whether it is all there.

A page is cited by its name, or its path if another page has the same name, and a section of it by
its anchor: `DESIGN.md#cluster-time`. An anchor has no spaces, so no line break can hide a citation.
Each rule is a function from a text to complaints. Knows nothing of what the pages say.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

Texts = Mapping[str, str]
"""The files of the repository by their paths, with what is in them."""

_FENCE: Final = re.compile(r"^(```|~~~).*?^\1`*\s*$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#{1,6} +(.+?)[ #]*$", re.MULTILINE)
_LINK: Final = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(<?([^()<>\s]+)>?\)")
_PAGE: Final = re.compile(r"(?<![\w/.:-])((?:[\w.-]+/)*[\w-]+\.md)(?:#([\w-]*))?")
_SOURCE: Final = re.compile(r"(?<![\w/.:-])((?:actors|cluster|tests)/[\w/.-]*[\w-]\.py)\b")
_MODULE: Final = re.compile(r"(?<![\w/.*:-])(\w+\.py)\b")
_UNNAMED: Final = re.compile(r"\b(?:DESIGN|FORMATS|PROTOCOL|SECURITY|STYLE)\b(?!\.md)|\breference:")
_CONSTANT: Final = re.compile(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`")
_OTHERS: Final = ("LEASEHOLD_", "LEASECTL_", "ETCD_", "ZMQ_")
"""Names of environment variables, and of ZeroMQ's options."""

_DEFINED: Final = re.compile(r"^ *([A-Z][A-Z0-9_]+)\b", re.MULTILINE)


def anchors(page: str) -> set[str]:
    """What a link may name within a page: its headings, as GitHub spells them."""
    found: list[str] = []
    for heading in _HEADING.findall(_FENCE.sub("", page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return set(found)


def broken_links(path: str, text: str, texts: Texts) -> list[str]:
    """Links of a page to files that are not there, or to sections that a page has not."""
    complaints = []
    for target in _LINK.findall(_FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = unquote(target).partition("#")
        linked = _resolved(PurePosixPath(path).parent / name) if name else path
        is_folder = any(each.startswith(f"{linked.rstrip('/')}/") for each in texts)
        if linked not in texts and not is_folder:
            complaints.append(f"{path} links to {target}, which is not there")
        elif anchor and anchor not in anchors(texts.get(linked, "")):
            complaints.append(f"{path} links to {target}, which has no such section")
    return complaints


def unfounded_citations(path: str, text: str, texts: Texts) -> list[str]:
    """Pages, sections and source files that a text names, and that are not there.

    Of a module its docstrings and comments count.
    """
    if path.endswith(".md"):
        text = _LINK.sub("", text)  # what a link names is found from the page's own place
    cited = _unfounded(path, text, texts)
    if cited and path.endswith(".py"):
        cited = _unfounded(path, _words_of(text), texts)  # only now: it takes its time
    return [f"{path} cites {each}, which is not there" for each in cited]


def _unfounded(path: str, text: str, texts: Texts) -> list[str]:
    cited = [*_missing_pages(text, texts), *_missing_sources(text, texts)]
    return [*cited, *_UNNAMED.findall(text)] if path.endswith(".py") else cited


def _words_of(source: str) -> str:
    """The docstrings, of attributes too, and the comments of a module."""
    nodes = ast.walk(ast.parse(source))
    values = [node.value for node in nodes if isinstance(node, ast.Expr)]
    words = [
        each.value
        for each in values
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    words += [each.string for each in tokens if each.type == tokenize.COMMENT]
    return "\n".join(words)


def _missing_pages(text: str, texts: Texts) -> Iterator[str]:
    for name, anchor in _PAGE.findall(text):
        pages = _found(name, texts)
        if len(pages) != 1 or (anchor and anchor not in anchors(texts[pages[0]])):
            yield f"{name}#{anchor}" if anchor else name


def _missing_sources(text: str, texts: Texts) -> Iterator[str]:
    yield from (name for name in _SOURCE.findall(text) if name not in texts)
    for name in _MODULE.findall(text):
        if not any(each == name or each.endswith(f"/{name}") for each in texts):
            yield name


def unknown_constants(path: str, text: str, texts: Texts) -> list[str]:
    """Constants that a page names, and no module defines."""
    sources = (source for name, source in texts.items() if name.endswith(".py"))
    defined = {constant for source in sources for constant in _DEFINED.findall(source)}
    return [
        f"{path} names {constant}, which nobody defines"
        for constant in _CONSTANT.findall(text)
        if constant not in defined and not constant.startswith(_OTHERS)
    ]


def _found(name: str, texts: Texts) -> list[str]:
    """The pages of that path; or else of that name, wherever they are."""
    return [name] if name in texts else [each for each in texts if each.endswith(f"/{name}")]


def _resolved(path: PurePosixPath) -> str:
    """A path without `..`, from the root of the repository."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return "/".join(parts)


def rows(page: str, head: str) -> list[list[str]]:
    """The cells of all tables of a page whose first line begins like that, without backticks."""
    found: list[list[str]] = []
    for table in re.findall(
        rf"^{re.escape(head)}.*\n\|[-:| ]+\|\n((?:\|.*\n)+)", page, re.MULTILINE
    ):
        found += [_cells(line) for line in table.splitlines()]
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
