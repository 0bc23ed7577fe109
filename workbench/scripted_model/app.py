"""The model's routes, put together."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workbench.scripted_model.access import authenticate
from workbench.scripted_model.chat import ChatCompletions
from workbench.scripted_model.control import control_routes
from workbench.scripted_model.errors import ApiError, answer_api_error, answer_http_error
from workbench.scripted_model.faults import FaultBox
from workbench.scripted_model.records import RequestLog
from workbench.scripted_model.settings import Settings

_MODEL = {"id": "scripted", "object": "model", "created": 1767225600, "owned_by": "workbench"}


def create_app() -> Starlette:
    settings, faults, log = Settings(), FaultBox(), RequestLog()
    return Starlette(
        routes=[
            Route("/v1/chat/completions", ChatCompletions(settings, faults, log), methods=["POST"]),
            Route("/v1/models", _list_models, methods=["GET"]),
            Route("/v1/models/{name}", _get_model, methods=["GET"]),
            *control_routes(settings, faults, log),
        ],
        exception_handlers={ApiError: answer_api_error, HTTPException: answer_http_error},
    )


async def _list_models(request: Request) -> Response:
    authenticate(request)
    return JSONResponse({"object": "list", "data": [_MODEL]})


async def _get_model(request: Request) -> Response:
    authenticate(request)
    name = request.path_params["name"]
    if name != _MODEL["id"]:
        raise ApiError(404, f"The model '{name}' does not exist.", code="model_not_found")
    return JSONResponse(_MODEL)
