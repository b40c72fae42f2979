"""The results of a load: throughput and the distribution of latencies.

Values and texts only; it refuses to know how they were measured.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

PERCENTILES: Final = (50, 90, 99)


class Figures(NamedTuple):
    """One run. `latencies_ms` is ascending; `errors` counts replies by their error's text."""

    name: str
    seconds: float
    latencies_ms: array[float]
    errors: Mapping[str, int]

    @property
    def answered(self) -> int:
        """The number of requests answered without an error (or of events with a latency)."""
        return len(self.latencies_ms)

    @property
    def rate(self) -> float:
        """Requests answered without an error, per second."""
        return self.answered / self.seconds if self.seconds > 0 else 0.0

    def percentile(self, percent: float) -> float:
        """The latency in milliseconds that `percent` of all did not exceed; 0 if there is none."""
        if not self.latencies_ms:
            return 0.0
        return self.latencies_ms[int((len(self.latencies_ms) - 1) * percent / 100)]

    def line(self) -> str:
        """One line of figures, and one line more for each kind of error."""
        quantiles = [f"p{percent} {self.percentile(percent):.2f} ms" for percent in PERCENTILES]
        text = "   ".join(
            [
                f"{self.name}: {self.rate:,.0f}/s",
                *quantiles,
                f"max {self.percentile(100):.2f} ms",
                f"({self.answered:,} in {self.seconds:.2f} s)",
            ]
        )
        failures = [f"{count:,} failed: {message}" for message, count in self.errors.items()]
        return "\n".join([text, *failures])

    def as_map(self) -> dict[str, Any]:
        """The figures as a map, for JSON."""
        latency = {f"p{percent}": self.percentile(percent) for percent in PERCENTILES}
        return {
            "name": self.name,
            "requests": self.answered,
            "seconds": self.seconds,
            "rate": self.rate,
            "latency_ms": {**latency, "max": self.percentile(100)},
            "errors": dict(self.errors),
        }


def figures_of(
    name: str, seconds: float, latencies_seconds: array[float], errors: Mapping[str, int]
) -> Figures:
    """Figures of unordered latencies."""
    ordered = array("d", sorted(1000 * latency for latency in latencies_seconds))
    return Figures(name, seconds, ordered, dict(errors))
