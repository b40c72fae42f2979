"""`python -m cluster.launcher.report EVENTS.jsonl OUT`: a recording or a report of a session.

OUT ends with .svg (an animated picture for a page) or .html (the report). EVENTS.jsonl is what
`run_cluster.py --json` printed, or events.jsonl of a data directory, of which the last session
counts.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cluster.flags import FlagParser
from cluster.launcher.nodes.layout import LauncherError
from cluster.launcher.report import html, reading, recording

PROGRAM: Final = "python -m cluster.launcher.report"


def main(arguments: Sequence[str]) -> int:
    """Write what is asked for; 1 with one line on stderr if that is impossible."""
    parser = FlagParser(PROGRAM, "Makes a picture or a report of a session's events.")
    parser.add_argument("events", type=Path, metavar="EVENTS.jsonl")
    parser.add_argument("out", type=Path, metavar="OUT.svg|OUT.html")
    parser.add_argument("--title", default="run_cluster.py", help="of the picture")
    options = parser.parse_args(arguments)
    if options.out.suffix not in {".svg", ".html"}:
        parser.error(f"{options.out}: a name that ends with .svg or .html is expected")
    try:
        happenings = reading.last_session(reading.read(options.events))
        if options.out.suffix == ".html":
            html.write(options.out, happenings)
        else:
            html.save(options.out, recording.picture(happenings, options.title))
    except LauncherError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
