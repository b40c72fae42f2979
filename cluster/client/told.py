"""What a client writes into the log `leasehold.client` of the news of its core.

Each fail-over is a line, and each oddity; of retries there is a line for each cause, and not again
for a while, since thousands of requests may fail together. At the level DEBUG each retry has one.
"""

from __future__ import annotations

import logging
from typing import Final

from cluster.client.engine.news import Lead, News, Oddity, Retry, Turn

AGAIN_SECONDS: Final = 5.0
"""Retries with one cause are told once in this time."""

CAUSES_MAX: Final = 100

log = logging.getLogger("leasehold.client")


class NewsLog:
    """Writes the news of one client, each cause of retries once in AGAIN_SECONDS."""

    def __init__(self) -> None:
        self._told_at: dict[tuple[str, str], float] = {}

    def tell(self, news: list[News], now: float) -> None:
        """Write the news down, and empty the list."""
        for one in news:
            match one:
                case Retry():
                    self._retry(one, now)
                case Turn(endpoint, "", _):
                    log.info("requests go to %s", endpoint)
                case Turn(endpoint, before, cause):
                    log.info("requests go to %s, and not to %s: %s", endpoint, before, cause)
                case Lead():
                    log.info("writes go to %s, whose member leads", one.endpoint)
                case Oddity():
                    log.warning("endpoint %s %s", one.endpoint, one.what)
        news.clear()

    def _retry(self, retry: Retry, now: float) -> None:
        log.debug("%s is tried again after attempt %d at %s: %s", *retry)
        key = (retry.endpoint, retry.cause)
        if now >= self._told_at.get(key, now - AGAIN_SECONDS) + AGAIN_SECONDS:
            if len(self._told_at) >= CAUSES_MAX:
                self._told_at.clear()
            self._told_at[key] = now
            log.info("requests at %s are tried again: %s", *key)
