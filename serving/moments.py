"""Moments of requests, as they are written: a number is none, though some would count seconds since 1970 by it."""

import re
from typing import Any

from pydantic import BeforeValidator

_NUMBER = re.compile(r"\s*[+-]?\d*\.?\d+([eE][+-]?\d+)?\s*")


def _written(value: Any) -> Any:
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise ValueError(f"{value} is a number; write the moment as 2024-06-01T09:30:00Z")
    return value


Written = BeforeValidator(_written)
"""Beside the type of a field or parameter that holds a moment."""
