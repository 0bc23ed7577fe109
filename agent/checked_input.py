"""Answers input that does not fit with a 400 that says what is wrong, before any of the handler's
code runs.

Left to itself the SDK answers 500, "Unable to parse an input argument". A context manager of the
handler runs inside the invocation and ahead of that, so the error is terminal, carries the right
status, and leaves no state behind.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from pydantic import BaseModel, ValidationError
from restate import TerminalError
from restate.extensions import current_context

__all__ = ["checked"]


def checked(model: type[BaseModel]) -> list[Callable[[], AbstractAsyncContextManager[None]]]:
    """The `invocation_context_managers` of a handler whose input is a `model`."""

    @asynccontextmanager
    async def check() -> AsyncIterator[None]:
        context = current_context()
        assert context is not None  # inside an invocation there is one
        try:
            model.model_validate_json(context.request().body or b"null")
        except ValidationError as error:
            raise TerminalError(_fault(model, error), status_code=400) from None
        yield

    return [check]


def _fault(model: type[BaseModel], error: ValidationError) -> str:
    # Only where and what: the input itself may be large, and may be nobody else's business.
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    return f"{model.__name__}: {where}: {first['msg']}"
