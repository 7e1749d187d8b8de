"""What the service counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
ROWS = (1, 2, 5, 10, 20, 50, 100, 1000, 10_000, 100_000)


class Measures:
    """Counters and histograms of one service."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        label = ["route", "status"]
        self._requests = Counter("perceptory_requests", "Requests by route and status", label, registry=self._registry)
        self._seconds = Histogram(
            "perceptory_request_seconds", "From the body's arrival to the answer", ["route"], buckets=SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._rows = Counter("perceptory_rows", "Rows predicted by model", ["model"], registry=self._registry)
        self._together = Histogram(
            "perceptory_batch_requests", "Requests predicted together", buckets=ROWS, registry=self._registry
        )
        self._batch_rows = Histogram(
            "perceptory_batch_rows", "Rows predicted together", buckets=ROWS, registry=self._registry
        )

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A number that is asked for when it is read."""
        Gauge(f"perceptory_{name}", text, registry=self._registry).set_function(value)

    def request(self, route: str, status: int, seconds: float) -> None:
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def rows(self, model: str, count: int) -> None:
        self._rows.labels(model).inc(count)

    def batch(self, requests: int, rows: int) -> None:
        self._together.observe(requests)
        self._batch_rows.observe(rows)

    def text(self) -> bytes:
        return generate_latest(self._registry)
