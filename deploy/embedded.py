"""The one-process shape in motion: a thread for each consumer, and a web server in the main thread."""

import signal
import threading
from types import FrameType

from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask

from deploy.compose import Embedded
from shared.web.problems import Problem

_STOP_SECONDS = 20


class Refusal(ErrorTask):  # type: ignore[misc]  # waitress has no types
    """What the web server refuses before the app sees it, told as a problem like any other."""

    def execute(self) -> None:
        """Answer, and hang up: what else the client sends may be the rest of what was refused."""
        error = self.request.error
        code = error.reason.lower().replace(" ", "_")
        answer = Problem(status=error.code, code=code, title=f"{error.reason}.", detail=error.body).response()
        body = answer.get_data()
        self.status = answer.status
        self.response_headers.append(("Content-Type", answer.content_type))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class EmbeddedSystem:
    """Consumers and web server of one process; `serve` returns after SIGTERM or SIGINT, or when `stop` is called."""

    def __init__(self, shape: Embedded) -> None:
        self._shape = shape
        consuming = [name for name, service in shape.services.items() if service.consumes]
        self._consumers = {name: shape.consumer(name) for name in consuming}
        self._threads = [
            threading.Thread(target=consumer.run, name=f"{name}-worker", daemon=True)
            for name, consumer in self._consumers.items()
        ]
        settings = shape.settings
        HTTPChannel.error_task_class = Refusal  # there is but one web server in this process
        self._server = create_server(
            shape.gateway_app(),
            host=settings.host,
            port=settings.port,
            threads=settings.web_threads,
            ident="cardwork",
            max_request_body_size=max(settings.largest_body, settings.bulk_bytes, settings.import_bytes) * 2,
            channel_timeout=60,
        )
        self._stopping = threading.Event()

    def serve(self) -> None:
        """Serve until told to stop, then finish what is in hand."""
        for signal_ in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_, self._on_signal)
        self.start_workers()
        try:
            self._server.run()
        except SystemExit:
            pass
        finally:
            self.stop()

    def start_workers(self) -> None:
        """Start the consumers."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop taking requests, let every consumer finish its batch, and close."""
        self._server.close()
        for consumer in self._consumers.values():
            consumer.stop()
        for thread in self._threads:
            if thread.ident:
                thread.join(_STOP_SECONDS)
        self._shape.close()

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        raise SystemExit(0)
