"""What leasectl shows of its client's log: warnings, as lines for people, or all with --debug."""

from __future__ import annotations

import logging
from typing import Final

from cluster.cli.output import complain

NAME: Final = "leasehold.client"
WITH_TIMES: Final = "%(asctime)s %(levelname)s %(message)s"


class ClientLog(logging.Handler):
    """Writes to stderr: each kind of warning once for an endpoint; with `debug` every record."""

    def __init__(self, debug: bool) -> None:
        super().__init__(logging.DEBUG if debug else logging.WARNING)
        self.setFormatter(logging.Formatter(WITH_TIMES))
        self._debug = debug
        self._told: set[tuple[str, object]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless it is known."""
        if self._debug:
            complain(self.format(record))
            return
        # The client's log names the endpoint first, then the reason, which may change in each try.
        endpoint = record.args[0] if isinstance(record.args, tuple) and record.args else None
        about = (record.msg, endpoint)
        if about not in self._told:
            self._told.add(about)
            complain(f"{record.levelname.capitalize()}: {record.getMessage()}")


def show(debug: bool) -> None:
    """Write the log of the clients to stderr from now on, in place of how it was written before."""
    log = logging.getLogger(NAME)
    for handler in [each for each in log.handlers if isinstance(each, ClientLog)]:
        log.removeHandler(handler)
    log.addHandler(ClientLog(debug))
    log.setLevel(logging.DEBUG if debug else logging.NOTSET)
