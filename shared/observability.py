"""Logs and figures: one JSON line for each thing that happened, and the metrics that an operator watches."""

import logging
import sys
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Never the values of variables: a message, an assertion or a card number may be among them.
_TRACEBACK = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Lines:
    """Standard output for log lines: each is written at once, those of one `together` block by one call at its end.

    A call for each line costs as much as making the line, and hands the interpreter to another thread each time.
    """

    def __init__(self) -> None:
        self._here = threading.local()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold back what this thread writes inside the block."""
        if getattr(self._here, "held", None) is not None:
            yield
            return
        held: list[bytes] = []
        self._here.held = held
        try:
            yield
        finally:
            self._here.held = None
            if held:
                self._put(b"".join(held))

    def write(self, line: bytes) -> None:
        """Write a line."""
        held: list[bytes] | None = getattr(self._here, "held", None)
        if held is None:
            self._put(line)
        else:
            held.append(line)

    def flush(self) -> None:
        """Nothing to do: what is not held back is written."""

    def _put(self, content: bytes) -> None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


lines = Lines()


def set_up_logging(level: str, form: str) -> None:
    """Send every log line to standard output: JSON, one object a line, or coloured text for a person."""
    number = logging.getLevelNamesMapping()[level.upper()]
    first: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "console":
        write: Any = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        own, foreign = [write], [write]
        output: Any = structlog.WriteLoggerFactory(sys.stdout)
    else:
        tracebacks = structlog.processors.ExceptionRenderer(_TRACEBACK)
        own, foreign = [tracebacks, _as_json], [tracebacks, _as_json_text]
        output = structlog.BytesLoggerFactory(cast(BinaryIO, lines))
    structlog.configure(
        processors=[*first, *own],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=output,
        cache_logger_on_first_use=True,
    )
    _join_standard_logging(number, [structlog.stdlib.add_logger_name, *first], foreign)


def _join_standard_logging(number: int, first: list[Any], last: list[Any]) -> None:
    """Give the lines of libraries the same form."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=first,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it would tell of every health probe


def _as_json(_: Any, __: str, event: MutableMapping[str, Any]) -> bytes:
    return orjson.dumps(event, default=str)


def _as_json_text(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, default=str).decode()


class Metrics:
    """The figures of one process, served at ``/metrics``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = Counter(
            "cardwork_messages_total",
            "Messages handled",
            ("service", "key", "outcome"),
            registry=self.registry,
        )
        self.message_seconds = Histogram(
            "cardwork_message_seconds",
            "Handling time of a message: its batch's time, shared evenly",
            ("service", "key"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_messages = Histogram(
            "cardwork_batch_messages",
            "Messages handled in one transaction",
            ("service",),
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self.duplicates = Counter(
            "cardwork_inbox_duplicates_total",
            "Messages delivered again and dropped",
            ("service",),
            registry=self.registry,
        )
        self.dead_letters = Counter(
            "cardwork_dead_letters_total",
            "Messages set aside as dead letters",
            ("service", "queue"),
            registry=self.registry,
        )
        self.retries = Counter(
            "cardwork_retries_total",
            "Messages put off to be tried again",
            ("service",),
            registry=self.registry,
        )
        self.outbox_rows = Gauge(
            "cardwork_outbox_rows", "Rows in the outbox", ("service",), registry=self.registry
        )
        self.outbox_lag = Gauge(
            "cardwork_outbox_lag_seconds",
            "How long the oldest row that is due has waited",
            ("service",),
            registry=self.registry,
        )
        self.http_requests = Counter(
            "cardwork_http_requests_total",
            "HTTP requests",
            ("service", "route", "method", "status"),
            registry=self.registry,
        )
        self.http_seconds = Histogram(
            "cardwork_http_seconds",
            "HTTP handling time",
            ("service", "route", "method"),
            buckets=_SECONDS,
            registry=self.registry,
        )
