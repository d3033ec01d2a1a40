"""Answers of routes as JSON, encoded once."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import Response
from pydantic import BaseModel


def as_json(value: Any, status: int = 200) -> Response:
    """``value`` may hold dataclasses, models and mappings."""
    # Some keys are members of a StrEnum.
    content = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    return Response(content, status, media_type="application/json")


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
