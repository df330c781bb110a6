"""The OpenAPI document and the page that shows it; both are generated from the table of routes."""

import functools
import re
from typing import Any

import msgspec
from flask import Response, render_template_string, request
from markupsafe import Markup, escape

from mlq.core.json_values import to_json
from mlq.core.model import ModelInfo
from mlq.http.answers import JSON, link
from mlq.http.guard import may
from mlq.http.model_documents import Documented, with_models
from mlq.http.pages import read_page
from mlq.http.routes import Role, Route
from mlq.http.settings import Settings
from mlq.http.shapes import Problem
from mlq.version import __version__

_HERE = "{{here}}"  # in the cached page: each client is shown the host that it asked, and no other client's
_VARIABLE = re.compile(r"<(?:path:)?(\w+)>")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_ABOUT = (
    "Post jobs, follow them live, fetch their results. Responses are plain text unless `Accept: application/json` asks "
    "for JSON; errors are then `application/problem+json`."
)


def routes(described: list[Route], settings: Settings, models: Documented) -> list[Route]:
    """The routes of the document and of its page. Who may read jobs is also shown the hosted models."""
    document = functools.cache(lambda: openapi(described, settings))

    @functools.lru_cache(maxsize=4)  # they take 8 and 15 ms to make, and clients without a token may ask, too
    def of(kind: str, base: str, packed: tuple[str, ...]) -> bytes:
        whole = with_models(document(), [ModelInfo.parse(one.encode()) for one in packed])
        made = _page(whole, base) if kind == "page" else to_json(whole | {"servers": [{"url": base or "/"}]})
        return made.encode()

    def made(kind: str, base: str) -> bytes:
        """The document or its page, for clients that see this service below `base`."""
        return of(kind, base, models.packed() if may(settings, Role.READ) else ())

    return [
        Route("GET", "/openapi.json", lambda: Response(made("document", link("")), content_type=JSON), Role.NOBODY,
              "This document", {200: "OpenAPI 3.1."}, group="Service"),
        Route("GET", "/docs", lambda: _shown(made("page", link(""))), Role.NOBODY, "This document for people",
              {200: "A page that loads nothing from other sites."}, group="Service"),
    ]  # fmt: skip


def openapi(described: list[Route], settings: Settings) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these routes."""
    types = [
        Problem,
        *dict.fromkeys(one for route in described for one in (route.body, route.reply, route.refusal) if one),
    ]
    refs, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas = dict(zip(types, refs, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in described:
        path = _VARIABLE.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas, settings)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "MLQ", "version": __version__, "summary": "A job queue.", "description": _ABOUT,
                 "license": {"name": "MIT", "identifier": "MIT"}},
        "servers": [{"url": settings.prefix or "/"}],
        "paths": paths,
        "components": {"schemas": components},
        "tags": [{"name": group} for group in dict.fromkeys(route.group for route in described)],
    }  # fmt: skip
    if settings.tokens:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return document


def _operation(route: Route, schemas: dict[type, Any], settings: Settings) -> dict[str, Any]:
    variables = [{"name": name, "in": "path", "required": True, "schema": _schema_of(name)}
                 for name in _VARIABLE.findall(route.path)]  # fmt: skip
    others = [{"name": one.name, "in": one.place, "description": one.about, "schema": dict(one.schema)}
              for one in route.parameters]  # fmt: skip
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}").strip("_"),
        "summary": route.summary,
        "tags": [route.group],
        "parameters": variables + others,
        "responses": {
            str(status): _response(route, status, about, schemas) for status, about in _answers(route, settings)
        },
    }
    if route.about:
        operation["description"] = route.about
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {kind: _content(kind, route, schemas)
                                                                  for kind in route.body_kinds}}  # fmt: skip
    if settings.tokens and route.role is not Role.NOBODY:
        operation["security"] = [{"token": []}]
    return operation


def _answers(route: Route, settings: Settings) -> list[tuple[int, str]]:
    """The route's own statuses, and those common to all routes."""
    common = {400: "A request that can't be read.", 403: "Not allowed from here.", 503: "Redis does not respond."}
    if route.role is Role.NOBODY:
        common = {}
    if settings.tokens and route.role is not Role.NOBODY:
        common |= {401: "No token, or an unknown one.", 403: "The token may not do this.", 429: "Too many requests."}
    return sorted((common | dict(route.answers)).items())


def _response(route: Route, status: int, about: str, schemas: dict[type, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": about}
    if status >= 400 and route.refusal is not None:
        response["content"] = {"application/json": {"schema": schemas[route.refusal]}}
    elif status >= 400 and status != 503:
        response["content"] = {
            "application/problem+json": {"schema": schemas[Problem]},
            "text/plain": {"schema": {"type": "string"}},
        }
    elif route.reply is not None and status in (200, 202):
        response["content"] = {"application/json": {"schema": schemas[route.reply]}}
    return response


def _content(kind: str, route: Route, schemas: dict[type, Any]) -> dict[str, Any]:
    if kind == "application/json" and route.body is not None:
        shown = {} if route.example is None else {"example": route.example}
        return {"schema": schemas[route.body]} | shown
    if kind.startswith("multipart/") and route.reads and route.body is not None:
        return {"schema": schemas[route.body]}
    if kind.startswith("multipart/"):
        file = {"type": "string", "contentMediaType": "application/octet-stream"}
        return {"schema": {"type": "object", "properties": {"msg": file}, "required": ["msg"]}}
    return {}


def _schema_of(name: str) -> dict[str, Any]:
    pattern = r"^[0-9]{1,18}(@[0-9]{1,12}\.[0-9]{6})?$"  # an id, or a reference
    return {"type": "string", "pattern": pattern} if name == "job_id" else {"type": "string"}


def _marked(words: str) -> Markup:
    """A text as HTML, with `code` marked up."""
    return Markup("").join(  # the pieces are escaped
        Markup("<code>{}</code>").format(piece) if i % 2 else piece for i, piece in enumerate(words.split("`"))
    )


def _page(document: dict[str, Any], base: str) -> str:
    return render_template_string(read_page("docs.html"), document=document, base=base, here=_HERE, marked=_marked)


def _shown(page: bytes) -> Response:
    here = str(escape(request.host_url.rstrip("/"))).encode()
    answer = Response(page.replace(_HERE.encode(), here), mimetype="text/html")
    answer.headers["Content-Security-Policy"] = _POLICY
    return answer
