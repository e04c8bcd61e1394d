"""Real HTTP servers on loopback that keep what OpenTelemetry and Sentry send."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """The received data: path and decompressed body of every POST."""

    url: str = ""
    posts: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def everything(self) -> bytes:
        """All bodies, to search for what must not be sent."""
        return b"\n".join(body for _, body in self.posts)

    def spans(self) -> list[Span]:
        """Every span of every OTLP trace export."""
        requests = [ExportTraceServiceRequest.FromString(body) for path, body in self.posts if path == "/v1/traces"]
        return [span for request in requests for r in request.resource_spans for scope in r.scope_spans for span in scope.spans]

    def metrics(self) -> dict[str, list[int]]:
        """Every integer data point of every OTLP metric export, by metric name."""
        points: dict[str, list[int]] = {}
        for request in (ExportMetricsServiceRequest.FromString(body) for path, body in self.posts if path == "/v1/metrics"):
            for metric in (m for r in request.resource_metrics for scope in r.scope_metrics for m in scope.metrics):
                data = metric.sum.data_points or metric.gauge.data_points
                points.setdefault(metric.name, []).extend(point.as_int for point in data)
        return points

    def units(self) -> dict[str, str]:
        """The unit of every metric that was exported with a value."""
        exported = (ExportMetricsServiceRequest.FromString(body) for path, body in self.posts if path == "/v1/metrics")
        metrics = [m for request in exported for r in request.resource_metrics for scope in r.scope_metrics for m in scope.metrics]
        points = {m.name: m.sum.data_points or m.gauge.data_points or m.histogram.data_points for m in metrics}
        return {m.name: m.unit for m in metrics if points[m.name]}

    def sentry_events(self) -> list[dict[str, Any]]:
        """Every event of every Sentry envelope."""
        return self._sentry_items("event")

    def check_ins(self) -> list[dict[str, Any]]:
        """Every check-in of every Sentry envelope, in the order in which they came."""
        return self._sentry_items("check_in")

    def _sentry_items(self, kind: str) -> list[dict[str, Any]]:
        found = []
        for path, body in self.posts:
            if path.endswith("/envelope/"):
                lines = body.split(b"\n")
                headers = [json.loads(line) for line in lines[1::2] if line]
                items = lines[2::2]
                found += [json.loads(item) for header, item in zip(headers, items, strict=False) if header.get("type") == kind]
        return found


@contextmanager
def collecting(status: int = 200) -> Iterator[Collector]:
    """A collector that answers every POST with ``status``."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.posts.append((self.path, body))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is the library's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
