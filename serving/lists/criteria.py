"""What a list is asked for: whom it is for, how many, whom to leave out, and how to keep it fair and varied."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

REST = "*"
"""In a quota: everybody whose value is not named."""

MOST_ROWS = 1_000_000
"""Rows of the longest list."""

Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Range(BaseModel):
    """From ``min`` to ``max``, both inside; one of them is enough."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: Number | None = None
    max: Number | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        return self


Value = (
    Annotated[str, Field(max_length=500)]
    | Annotated[bool, Field(strict=True)]
    | Annotated[int, Field(strict=True)]
    | Number
    | None
)
Condition = Value | Annotated[list[Value], Field(max_length=10_000)] | Range
Filters = Mapping[Text, Condition]


class Objective(StrEnum):
    """What the best are best at."""

    INFLUENCE = "influence"
    """People expected to be moved."""
    ACQUIRE = "acquire"
    """New customers expected to be won."""
    CONSOLIDATE = "consolidate"
    """Customers one has already expected to be moved."""
    VALUE = "value"
    """Money expected to be moved."""
    RETENTION = "retention"
    """Money expected to be lost with the person."""


class Exclusions(BaseModel):
    """People who are left out: by id, or because they stand on other lists, whether those still run or not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_ids: Annotated[tuple[Text, ...], Field(max_length=MOST_ROWS)] = ()
    lists: Annotated[tuple[Text, ...], Field(max_length=100)] = ()


class Diversity(BaseModel):
    """How people on one list may relate.

    ``most_each``: column -> most people of one value of it, such as ``{"community_id": 3}``; people without a value are not
    bounded. ``most_per_clique``: of people who are all tied with one another, at most so many. ``least_overlap``: prefer
    people who reach whom nobody before on the list reaches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    most_each: Mapping[Text, Annotated[int, Field(strict=True, ge=1)]] = {}
    most_per_clique: Annotated[int, Field(strict=True, ge=1, le=20)] | None = None
    least_overlap: Annotated[bool, Field(strict=True)] = False


class ListCriteria(BaseModel):
    """``size`` people, the best by ``objective`` among those who pass every rule.

    ``filters``: whom the list is for; see `serving.store.filters`. ``rules``: name -> filters that a person must pass too,
    named so that it can be said which one somebody failed. ``cool_down_days``: nobody contacted within so many days.
    ``quotas``: column -> value -> most people with that value; ``"*"``: of all other values together. People whose value
    is not named are left out; a number that cannot be met is reported. ``holdout``: share of people who are held back from
    contact, for comparison; they count towards ``size`` and quotas. ``reserve_days``: until the list ends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Annotated[int, Field(strict=True, ge=1, le=MOST_ROWS)]
    objective: Objective = Objective.INFLUENCE
    filters: Filters = {}
    rules: Mapping[Text, Filters] = {}
    exclude: Exclusions = Exclusions()
    cool_down_days: Annotated[int, Field(strict=True, ge=0, le=3_650)] = 0
    quotas: Mapping[Text, Mapping[Text, Annotated[int, Field(strict=True, ge=0, le=MOST_ROWS)]]] = {}
    diversity: Diversity = Diversity()
    holdout: Annotated[float, Field(strict=True, ge=0, le=0.9)] = 0.0
    reserve_days: Annotated[int, Field(strict=True, ge=1, le=365)] | None = None

    @property
    def channel(self) -> str | None:
        """The channel that people are to be reached by, where the filters name one."""
        found = self.filters.get("reachable")
        return found if isinstance(found, str) else None


def plain(filters: Filters) -> dict[str, Any]:
    """Filters as the score store takes them."""
    return {
        name: condition.model_dump(exclude_none=True) if isinstance(condition, Range) else condition
        for name, condition in filters.items()
    }
