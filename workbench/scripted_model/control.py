"""`/control`: what the workbench reads from the model and changes in it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from workbench.scripted_model.errors import ApiError, invalid_fields
from workbench.scripted_model.faults import Fault, FaultBox
from workbench.scripted_model.records import RequestLog
from workbench.scripted_model.settings import Settings

M = TypeVar("M", bound=BaseModel)


def control_routes(settings: Settings, faults: FaultBox, log: RequestLog) -> list[Route]:
    async def list_requests(request: Request) -> Response:
        prefix = request.query_params.get("prefix", "")
        after = request.query_params.get("after", "0")
        if not after.isdecimal():
            raise ApiError(400, f"after={after!r} is not the number of a request.")
        return JSONResponse([asdict(seen) for seen in log.requests(prefix, int(after))])

    async def clear_requests(request: Request) -> Response:
        log.clear()
        return Response(status_code=204)

    async def get_settings(request: Request) -> Response:
        return JSONResponse(settings.model_dump())

    async def change_settings(request: Request) -> Response:
        # Checked as a whole before any of it is applied to the settings that are in use.
        changed = _parse(Settings, await request.body())
        for name in changed.model_fields_set:
            setattr(settings, name, getattr(changed, name))
        return JSONResponse(settings.model_dump())

    async def put_fault(request: Request) -> Response:
        fault = _parse(Fault, await request.body())
        faults.put(fault)
        return JSONResponse(fault.model_dump())

    async def mend(request: Request) -> Response:
        faults.mend()
        return Response(status_code=204)

    return [
        Route("/control/requests", list_requests, methods=["GET"]),
        Route("/control/requests", clear_requests, methods=["DELETE"]),
        Route("/control/settings", get_settings, methods=["GET"]),
        Route("/control/settings", change_settings, methods=["PATCH"]),
        Route("/control/fault", put_fault, methods=["PUT"]),
        Route("/control/fault", mend, methods=["DELETE"]),
    ]


def _parse(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        hint = f" The fields are: {', '.join(model.model_fields)}."
        raise invalid_fields(error, hint=hint) from None
