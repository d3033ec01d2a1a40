"""Answers of an object that are kept for as long as the object is."""

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, TypeVar, cast
from weakref import WeakMethod

Asked = TypeVar("Asked", bound=Callable[..., Any])


def kept(most: int, method: Asked) -> Asked:
    """``method``, a bound one, that remembers its last ``most`` answers.

    It does not hold its object: a cache that did would be held by it in turn, so that what is no longer used kept its
    memory and files until the collector of cycles came by.
    """
    weak = WeakMethod(method)

    def ask(*question: Hashable) -> object:
        # Who asks holds the object.
        return cast("Asked", weak())(*question)

    return cast("Asked", lru_cache(most)(ask))
