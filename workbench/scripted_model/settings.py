"""How fast the model answers. A change takes effect with the next token of every stream."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)

    tokens_per_second: float = Field(default=250.0, gt=0)
    first_token_seconds: float = Field(default=0.05, ge=0)
