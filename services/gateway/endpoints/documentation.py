"""`/openapi.json`, the contract of all services, and `/docs`, which shows it without the internet."""

from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from services.common.problems import RouteNotFound, Unavailable
from services.common.routing import UnitOfWorkRoute, public
from services.gateway.service.directory import Directory

router = APIRouter(include_in_schema=False, route_class=UnitOfWorkRoute)

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_PAGE = """<!doctype html>
<html lang="zh">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>社区平台 Shequ</title>
<link rel="icon" href="/docs/favicon.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """"use strict";
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  validatorUrl: null,
  persistAuthorization: true,
  deepLinking: true,
  filter: true,
  docExpansion: "none",
  displayOperationId: true,
});
"""
_FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}


def _static() -> Path:
    # A wheel is unpacked when it is installed, so this is a directory and stays one.
    with as_file(files("fastapi_offline") / "static") as directory:
        return directory


@router.get("/openapi.json")
@public
async def get_contract(request: Request) -> Response:
    """The contract of all services; 503 until all have been heard."""
    directory: Directory = request.state.directory
    if not directory.was_complete:
        raise Unavailable()
    contract = directory.contract
    headers = {"ETag": contract.etag, "Cache-Control": "no-cache"}
    seen = {tag.strip().removeprefix("W/") for tag in _if_none_match(request).split(",")}
    if contract.etag in seen or "*" in seen:
        return Response(status_code=304, headers=headers)
    return Response(contract.body, media_type="application/json", headers=headers)


def _if_none_match(request: Request) -> str:
    return request.headers.get("if-none-match", "")


@router.get("/docs")
@public
async def get_docs() -> Response:
    return HTMLResponse(_PAGE, headers=_HEADERS)


@router.get("/docs/start.js")
@public
async def get_docs_start() -> Response:
    return Response(_START, media_type="text/javascript", headers=_HEADERS)


@router.get("/docs/{name}")
@public
async def get_docs_file(name: str) -> Response:
    if name not in _FILES:
        raise RouteNotFound()
    headers = {**_HEADERS, "Cache-Control": "public, max-age=3600"}
    return FileResponse(_static() / name, media_type=_FILES[name], headers=headers)
