"""The languages that reasons are given in, and the words around reasons."""

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
NOTHING: Mapping[Language, str] = {"en": "nothing stands out", "zh": "暂无突出原因"}
BETWEEN: Mapping[Language, str] = {"en": "; ", "zh": "；"}
