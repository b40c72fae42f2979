"""Programs that are always run: corners of etcd that were looked up, and differences once found."""

from __future__ import annotations

from tests.differential.cases import compactions, leases, limits, ranges, transactions, watches
from tests.differential.language import Program

TOPICS = (ranges, transactions, compactions, watches, leases, limits)

CASES: dict[str, Program] = {
    name: program for topic in TOPICS for name, program in topic.CASES.items()
}
"""By a name that says what is compared."""

assert len(CASES) == sum(len(topic.CASES) for topic in TOPICS), "two cases have one name"
