"""Errors in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`.

Source: the error objects in OpenAI's API reference and its guide to error codes.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class ApiError(Exception):
    """A refusal, as the client is to see it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.headers = headers


async def answer_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    body = {"message": str(error), "type": error.kind, "param": error.param, "code": error.code}
    return JSONResponse({"error": body}, status_code=error.status, headers=error.headers)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Turn the router's own 404 and 405 into OpenAI's shape."""
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path}"
    message = f"Invalid URL ({where})" if error.status_code == 404 else f"{where}: {error.detail}"
    return await answer_api_error(
        request, ApiError(error.status_code, message, headers=error.headers)
    )


def invalid_fields(error: ValidationError, *, hint: str = "") -> ApiError:
    """Turn pydantic's findings into one 400 that names the first bad field as `param`."""
    findings = [(_path(e["loc"]), e["type"], e["msg"]) for e in error.errors()]
    message = " ".join(f"{where}: {what}." if where else f"{what}." for where, _, what in findings)
    where, kind, _ = findings[0]
    code = "missing_required_parameter" if kind == "missing" else "invalid_value"
    return ApiError(400, f"{message}{hint}", code=code, param=where or None)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
