"""The Flask application for one queue: all routes, access control and error handling."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from mlq import MLQ
from mlq.http import (
    batch_api,
    bodies,
    consumer,
    deliveries,
    documents,
    events,
    file_predictions,
    health,
    inference,
    jobs,
    limits,
    models,
    problems,
    purging,
    reasons,
    results,
    schedules,
    shares,
    trees,
)
from mlq.http.guard import Guard
from mlq.http.model_documents import Documented
from mlq.http.peer import OwnClient
from mlq.http.routes import Route
from mlq.http.settings import Settings

MODULES = (jobs, reasons, purging, trees, shares, results, events, models, file_predictions, inference, batch_api,
           deliveries, schedules, consumer, limits, health)  # fmt: skip


def make_app(mlq: MLQ, settings: Settings | None = None) -> Flask:
    """The application for a queue. Does not connect to the server: the first request that needs it does."""
    settings = settings or Settings()
    app = Flask("mlq.http", static_folder=None)
    app.test_client_class = OwnClient
    app.config["MAX_CONTENT_LENGTH"] = settings.body_limit
    app.url_map.redirect_defaults = False
    app.url_map.merge_slashes = False  # it would redirect, and a redirect names a host
    routes = [route for module in MODULES for route in module.routes(mlq, settings)]
    routes += documents.routes(routes, settings, Documented(mlq))
    for route in routes:
        view = bodies.with_body(route.view, route.before) if route.body and not route.reads else route.view
        app.add_url_rule(route.path, _endpoint(route), view, methods=[route.method])
    problems.handle_all(app, mlq)
    Guard(settings, routes).install(app)
    if settings.prefix:
        app.wsgi_app = _Prefix(app.wsgi_app, settings.prefix)  # type: ignore[method-assign]
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    return app


def _endpoint(route: Route) -> str:
    return f"{route.method} {route.path}"


class _Prefix:
    """Serves an application below a path, whether or not the proxy in front strips that path."""

    def __init__(self, app: WSGIApplication, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == self._prefix or path.startswith(self._prefix + "/"):
            environ["PATH_INFO"] = path[len(self._prefix) :]
        environ["SCRIPT_NAME"] = self._prefix
        return self._app(environ, start_response)
