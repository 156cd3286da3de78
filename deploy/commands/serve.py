"""`cardwork serve NAME`: the web process of the gateway or of a service, under gunicorn."""

from typing import TYPE_CHECKING, Any

import click
from gunicorn.app.base import BaseApplication

from deploy.compose import shape_of
from shared.memory import settle_memory
from shared.observability import set_up_logging
from shared.settings import BadSettings, Settings, read_settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_TIMEOUT_SECONDS = 60
_GRACE_SECONDS = 20


class WebProcess(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn with Cardwork's settings; the app is built after the fork, so that no connection is shared."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._name = name
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Hand our settings to gunicorn."""
        settings = self._settings
        chosen: dict[str, Any] = {
            "bind": f"{settings.host}:{settings.port}",
            "workers": settings.web_processes,
            "worker_class": "gthread",
            "threads": settings.web_threads,
            "timeout": _TIMEOUT_SECONDS,
            "graceful_timeout": _GRACE_SECONDS,
            "keepalive": 30,
            "worker_tmp_dir": "/dev/shm",  # noqa: S108 - in memory, as gunicorn advises; the root may be read-only
            "limit_request_line": 4094,
            "limit_request_fields": 50,
            "proc_name": f"cardwork-{self._name}",
            "post_worker_init": self._settle,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def _settle(self, _: Any) -> None:
        set_up_logging(self._settings.log_level, self._settings.log_format)
        settle_memory()

    def load(self) -> "WSGIApplication":
        """Return the app of this worker process."""
        shape = shape_of(self._settings)
        app = shape.gateway_app() if self._name == "gateway" else shape.service_app(self._name)
        return hanging_up_on_too_much(app)


def hanging_up_on_too_much(app: "WSGIApplication") -> "WSGIApplication":
    """Let gunicorn announce that it closes the connection of a body that was refused for its size.

    It does close it, rather than read all that is still to come; a client that is not told would lose its next request.
    """

    def respond(environ: Any, start_response: Any) -> Any:
        def start(status: str, *rest: Any) -> Any:
            if status.startswith("413"):
                start_response.__self__.force_close()
            return start_response(status, *rest)

        return app(environ, start)

    return respond


@click.command()
@click.argument("name")
def serve(name: str) -> None:
    """Serve the web of NAME: gateway, or a service's reads."""
    settings = read_settings()
    set_up_logging(settings.log_level, settings.log_format)
    if name != "gateway" and not shape_of(settings).service(name).answers:
        raise BadSettings(f"The service {name} answers no questions; it has a worker alone.")
    WebProcess(name, settings).run()
