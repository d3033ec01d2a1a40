"""Shapes of requests and answers about candidates, lists, their members and the work on them."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from serving.api.schemas import example
from serving.lists.criteria import Filters, ListCriteria, Text
from serving.lists.members import ByOwner, ByRule, InTurn
from serving.lists.states import State

LIST_ID = "3f6c1f0e9b7a4c55a0f7b2d9f1f0a001"
CRITERIA: dict[str, Any] = {
    "size": 300,
    "objective": "influence",
    "filters": {"koc_percentile": {"min": 80}, "churn_probability": {"max": 0.3}},
    "cool_down_days": 30,
    "quotas": {"attribute_region": {"Hangzhou": 200, "Suzhou": 100}},
    "diversity": {"most_per_clique": 1},
    "holdout": 0.1,
}
Note = Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"^[^\x00]+$")]


def _body(**fields: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [fields]})


class Asked(BaseModel):
    """Whom to show, best first."""

    model_config = _body(filters={"koc_percentile": {"min": 90}}, size=20, by="koc_score")

    filters: Filters = Field({}, description="Column to value, values or range; see GET /v1/candidates/filters.")
    size: int = Field(20, strict=True, ge=1, le=1_000)
    by: Text = Field("koc_score", description="Column of numbers to rank by, the highest first.")


class FilterColumn(BaseModel):
    """A column that filters may name, and what may be asked of it."""

    model_config = example(name="attribute_region", kind="label", values=["Hangzhou", "Suzhou"], lowest=None, highest=None)

    name: str
    kind: str = Field(description="`number` or `label`.")
    values: list[str] = Field(description="Of a label, the first 1,000.")
    lowest: float | None
    highest: float | None


class NewList(BaseModel):
    """A list to make."""

    model_config = _body(name="Hangzhou beauty, June", criteria=CRITERIA)

    name: Text | None = None
    criteria: ListCriteria


class ShortfallShape(BaseModel):
    """What could not be met."""

    column: str | None = Field(description="Of a quota; null: of the whole list.")
    value: str | None = Field(description="Of a quota; `*`: all values that it does not name.")
    asked: int
    found: int
    known: int = Field(description="People with that value in the scores.")
    left_out: dict[str, int] = Field(description="Cause to people among them who are not on the list because of it.")
    reason: str


class ListShape(BaseModel):
    """A candidate list; nothing of it changes but `expires_at`, when it is closed, and `taken_out`."""

    model_config = example(
        list_id=LIST_ID,
        name="Hangzhou beauty, June",
        created_at="2024-06-01T01:00:00Z",
        created_by="0a1b2c3d4e5f",
        expires_at="2024-06-15T01:00:00Z",
        batch="20240601T0000-1f0c77aa",
        model_version="koc/3",
        as_of="2024-06-01T00:00:00Z",
        criteria=CRITERIA,
        rows=262,
        arms={"contact": 238, "holdout": 24},
        shortfalls=[
            {
                "column": "attribute_region",
                "value": "Suzhou",
                "asked": 100,
                "found": 62,
                "known": 900,
                "left_out": {"filters": 801, "cool_down": 37},
                "reason": "attribute_region Suzhou: 62 of 100; of 900 people 801 do not match the filters, "
                "37 were contacted within the cool-down",
            }
        ],
        checksum="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        taken_out={"consent_withdrawn": 1},
    )

    list_id: str
    name: str | None
    created_at: datetime
    created_by: str
    expires_at: datetime
    batch: str
    model_version: str
    as_of: datetime
    criteria: dict[str, Any]
    rows: int
    arms: dict[str, int]
    shortfalls: list[ShortfallShape]
    checksum: str = Field(description="SHA-256 of the rows as Parquet.")
    taken_out: dict[str, int] = Field(description="Cause to people whom reads and exports leave out since it was made.")


class ListsShape(BaseModel):
    """Lists, the latest first."""

    lists: list[dict[str, Any]]
    next_before: datetime | None = Field(description="Pass as `before` for the next page; null at the end.")


class MembersPage(BaseModel):
    """Some rows of a list, in order of rank."""

    model_config = example(
        rows=[
            {
                "rank": 1,
                "arm": "contact",
                "list_score": 2.07,
                "state": "selected",
                "state_reason": None,
                "staff": "wang",
                "user_id": "u1047",
                "koc_score": 2.07,
                "reason": "people moved: 3 in 42 days, 11 ever",
                "reason_zh": "近 42 天带动 3 人，累计 11 人",
                "next_item": "i91",
            }
        ],
        next_cursor="M2Y2YzFmMGUgMQ",
        taken_out={},
    )

    rows: list[dict[str, Any]] = Field(description="The columns of the scores, and state, staff, item and reasons.")
    next_cursor: str | None = Field(description="Pass as `after` for the next page; null at the end.")
    taken_out: dict[str, int] = Field(description="Cause to people who would stand between these rows.")


class AssignBody(BaseModel):
    """How to give people to staff."""

    model_config = _body(
        how={"by": "rule", "column": "attribute_region", "staff": {"Hangzhou": ["li", "wang"], "*": ["zhang"]}}
    )

    how: Annotated[ByOwner | ByRule | InTurn, Field(discriminator="by")]
    again: bool = Field(False, strict=True, description="Also people who have somebody already.")


class AssignedShape(BaseModel):
    """Who was given how many."""

    model_config = example(staff={"li": 120, "wang": 118}, unassigned=0)

    staff: dict[str, int]
    unassigned: int


class MoveBody(BaseModel):
    """Where people now stand."""

    model_config = _body(user_ids=["u1047"], state="unsuitable", reason="moved abroad")

    user_ids: Annotated[list[Text], Field(min_length=1, max_length=10_000)]
    state: State
    reason: Note | None = Field(None, description="Needed to and from `unsuitable`.")


class MemberShape(BaseModel):
    """Where a person on a list stands."""

    list_id: str
    user_id: str
    state: State
    state_reason: str | None
    staff: str | None
    changed_at: datetime


class MovedShape(BaseModel):
    """The people that were named, as they now stand."""

    members: list[MemberShape]


class EventShape(BaseModel):
    """One step in the history of a member."""

    state: State
    reason: str | None
    staff: str | None
    at: datetime
    key_id: str


class HistoryShape(BaseModel):
    """What happened to a person on a list, the earliest first."""

    events: list[EventShape]


class EligibilityBody(BaseModel):
    """Whom to judge by what."""

    model_config = _body(user_id="u1047", criteria=CRITERIA)

    user_id: Text
    criteria: ListCriteria


class RuleShape(BaseModel):
    """One rule and whether the person passes it."""

    name: str
    passed: bool
    found: str


class WhyShape(BaseModel):
    """Every rule in the order in which they are asked, and the first that fails."""

    model_config = example(
        user_id="u1047",
        batch="20240601T0000-1f0c77aa",
        rank=None,
        arm=None,
        failing="cool_down",
        rules=[{"name": "cool_down", "passed": False, "found": "contacted in the 30 days before"}],
    )

    user_id: str
    batch: str
    rank: int | None
    arm: str | None
    failing: str | None
    rules: list[RuleShape]


class TaskShape(BaseModel):
    """One person to work on."""

    list_id: str
    list_name: str | None
    expires_at: datetime
    rank: int
    user_id: str
    state: State
    state_reason: str | None
    next_states: list[State] = Field(description="Where the person can go from here.")
    item: str | None
    item_because: str | None
    item_because_zh: str | None
    reason: str | None
    reason_zh: str | None
    words_zh: str = Field(description="What may be said.")
    last_contact_at: datetime | None
    external_ids: dict[str, list[str]] | None = Field(description="Null for keys without scope `identify`.")


class WorklistShape(BaseModel):
    """What a member of staff has to do today."""

    staff: str
    tasks: list[TaskShape]
    open: int = Field(description="People in all, before those taken out.")
    taken_out: dict[str, int] = Field(description="Cause to people among those looked at who may not be contacted now.")


class StaffShape(BaseModel):
    """Member of staff to people to work on."""

    model_config = example(staff={"li": 14, "wang": 9})

    staff: dict[str, int]


class BadRowShape(BaseModel):
    """A row of a spreadsheet that changed nothing."""

    row: int = Field(description="As the spreadsheet counts, the header being row 1.")
    list_id: str | None
    user_id: str | None
    remedy: str


class ReturnedShape(BaseModel):
    """What became of a returned spreadsheet."""

    model_config = example(
        moved=41,
        unchanged=3,
        empty=0,
        bad=[
            {
                "row": 7,
                "list_id": LIST_ID,
                "user_id": "u9",
                "remedy": "'u9' is not on list ...; copy user_id from the export",
            }
        ],
    )

    moved: int
    unchanged: int
    empty: int
    bad: list[BadRowShape]
