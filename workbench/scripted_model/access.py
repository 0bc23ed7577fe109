"""What is asked of a request's headers before its body is read."""

from __future__ import annotations

from starlette.requests import Request

from workbench.scripted_model.errors import ApiError

_MOST_LABEL_CHARACTERS = 512


def authenticate(request: Request) -> None:
    """Accept any key, but not a request without one: an agent that sends none has a bug."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise ApiError(
            401,
            "You didn't provide an API key. Send it in an Authorization header with Bearer auth; "
            "the scripted model accepts any.",
        )


def check_label(label: str) -> None:
    """Refuse what OpenAI refuses in `X-Client-Request-Id`: non-ASCII, or over 512 characters."""
    if len(label) > _MOST_LABEL_CHARACTERS or not label.isascii():
        raise ApiError(400, "X-Client-Request-Id must be ASCII and no longer than 512 characters.")
