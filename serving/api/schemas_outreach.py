"""Shapes of requests and answers about contacts, outcomes, suppressions, the roster and applications."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from serving.api.schemas import example
from serving.outreach.applications import Answers
from serving.outreach.outcomes import Outcome
from serving.outreach.outreach import Contact
from serving.outreach.posted import MOST_RECORDS, Moment, Note, Text
from serving.outreach.roster import ExternalContact

LIST_ID = "3f6c1f0e9b7a4c55a0f7b2d9f1f0a001"

Users = Annotated[list[Text], Field(min_length=1, max_length=MOST_RECORDS)]


def _body(**fields: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [fields]})


class Contacts(BaseModel):
    """Contacts that were made, or are about to be."""

    model_config = _body(
        records=[
            {
                "key": "call-1",
                "list_id": LIST_ID,
                "user_id": "u17",
                "channel": "sms",
                "incentive": "coupon-20",
                "cost": 2000,
                "staff": "wang",
                "contacted_at": "2024-06-01T02:00:00Z",
            }
        ]
    )

    records: Annotated[list[Contact], Field(min_length=1, max_length=MOST_RECORDS)]


class OutcomesBody(BaseModel):
    """What people did, contacted or held out."""

    model_config = _body(
        records=[
            {
                "key": "order-1",
                "list_id": LIST_ID,
                "user_id": "u17",
                "outcome": "converted",
                "amount": 12900,
                "happened_at": "2024-06-03T08:30:00Z",
            }
        ]
    )

    records: Annotated[list[Outcome], Field(min_length=1, max_length=MOST_RECORDS)]


class RosterBody(BaseModel):
    """External contacts as staff have added them."""

    model_config = _body(
        records=[
            {
                "external_id": "wmqfasd1e1927831123109rBAAAA",
                "user_id": "u17",
                "staff": "wang",
                "inviter_id": "u3",
                "join_scene": "scan",
                "community_id": "wrOgQhDgAAMYQiS5ol9G7gK9JVAAAA",
                "added_at": "2024-05-30T12:00:00+08:00",
            }
        ]
    )

    records: Annotated[list[ExternalContact], Field(min_length=1, max_length=MOST_RECORDS)]


class RejectedRecord(BaseModel):
    """A record that was not kept."""

    model_config = example(
        position=1, key="call-2", user_id="u9", reason="suppressed", remedy="u9 may not be contacted (suppressed); ..."
    )

    position: int = Field(description="Of the record in the post, from 0.")
    key: str | None
    user_id: str
    reason: str = Field(description="For programs, such as `unknown_user`, `suppressed`, `above_cap` or `key_in_use`.")
    remedy: str = Field(description="For people: what is wrong and what to do.")


class Report(BaseModel):
    """What became of the records of a post; together they are all of them."""

    model_config = example(
        accepted=1,
        repeated=0,
        rejected=[
            {
                "position": 1,
                "key": "call-2",
                "user_id": "u9",
                "reason": "suppressed",
                "remedy": "u9 may not be contacted (suppressed); GET /v1/users/u9/suppressions tells why",
            }
        ],
        against={},
    )

    accepted: int = Field(description="Kept now.")
    repeated: int = Field(description="Kept before, with the same content.")
    rejected: list[RejectedRecord]
    against: dict[str, int] = Field(description="Accepted contacts that a rule speaks against, by rule.")


class DifferenceShape(BaseModel):
    """Contacted minus held out, with a 95 % interval."""

    model_config = example(value=0.08, low=0.03, high=0.13, method="newcombe")

    value: float
    low: float | None = Field(description="Null where it cannot be told; `notes` say why.")
    high: float | None
    method: str = Field(
        description="`newcombe`: hybrid score interval of two proportions. `welch`: of two means. `cluster bootstrap`: of "
        "whole communities."
    )


class ArmShape(BaseModel):
    """All members of one arm, whether contacted or not."""

    people: int
    contacted: int
    did: dict[str, int] = Field(description="People who did so at least once.")
    rate: dict[str, float] = Field(description="Of all people of the arm.")
    amount: int = Field(description="Of their conversions, minor units.")
    amount_per_person: float = Field(description="Over all people of the arm, minor units.")


class WeekShape(BaseModel):
    """One week after the list was made."""

    week: int
    starts_at: datetime
    arms: dict[str, dict[str, int]] = Field(description="Arm -> people who did so for the first time, and `amount`.")


class ResultsShape(BaseModel):
    """What contacted and held-out people did, and the difference."""

    model_config = example(
        list_id=LIST_ID,
        at="2024-06-09T00:00:00Z",
        analysis="intention to treat: everybody counts in the arm that the list assigned, whether contacted or not",
        unit="person",
        arms={
            "contact": {
                "people": 450,
                "contacted": 431,
                "did": {"accepted": 120, "declined": 40, "shared": 60, "converted": 81},
                "rate": {"accepted": 0.267, "declined": 0.089, "shared": 0.133, "converted": 0.18},
                "amount": 810000,
                "amount_per_person": 1800.0,
            }
        },
        differences={"converted": {"value": 0.08, "low": 0.01, "high": 0.14, "method": "newcombe"}},
        weeks=[{"week": 1, "starts_at": "2024-06-01T00:00:00Z", "arms": {"contact": {"converted": 81, "amount": 810000}}}],
        cost=900000,
        cost_per_conversion=11111.1,
        cost_per_additional_conversion=25000.0,
        notes=["19 of 450 people to contact have no contact posted; they count as the list assigned them"],
    )

    list_id: str
    at: datetime
    analysis: str
    unit: str = Field(description="What was assigned to an arm and is counted by intervals: `person` or `community`.")
    arms: dict[str, ArmShape]
    differences: dict[str, DifferenceShape] = Field(
        description="By outcome and `amount_per_person`; empty without a holdout."
    )
    weeks: list[WeekShape]
    cost: int = Field(description="Of contacts, minor units.")
    cost_per_conversion: float | None
    cost_per_additional_conversion: float | None = Field(description="Over conversions beyond what the holdout shows.")
    notes: list[str] = Field(description="What to know before believing the numbers.")


class NewSuppressions(BaseModel):
    """People who are not to be contacted, and why."""

    model_config = _body(
        user_ids=["u17"], code="fake_interaction", evidence="40 helpers from one device", expires_at="2024-06-16T00:00:00Z"
    )

    user_ids: Users
    code: Text = Field(description="Why, in the deployment's own codes.")
    evidence: Note | None = None
    starts_at: Moment | None = Field(None, description="By default now.")
    expires_at: Moment | None = Field(None, description="Such as in 1, 7 or 15 days; by default never.")


class NewWithdrawals(BaseModel):
    """People who withdrew their consent."""

    model_config = _body(user_ids=["u17"], channel="sms", evidence="answered TD on 2024-06-01")

    user_ids: Users
    channel: Text | None = Field(None, description="Such as `sms`; by default every channel.")
    code: Text = "withdrawn"
    evidence: Note | None = None
    starts_at: Moment | None = Field(None, description="By default now.")


class Lift(BaseModel):
    """Why an entry is lifted."""

    model_config = _body(reason="appeal upheld: the helpers are colleagues")

    reason: Note


class SuppressionShape(BaseModel):
    """One entry against contacting a person."""

    model_config = example(
        suppression=4,
        user_id="u17",
        kind="suppressed",
        channel=None,
        code="fake_interaction",
        evidence="40 helpers from one device",
        starts_at="2024-06-01T00:00:00Z",
        expires_at="2024-06-16T00:00:00Z",
        lifted_at=None,
        lifted_because=None,
        key_id="3f9c0a52d1a9",
    )

    suppression: int
    user_id: str
    kind: str = Field(description="`suppressed`, `consent_withdrawn` or `erased`.")
    channel: str | None = Field(description="Of a withdrawn consent; null is every channel.")
    code: str
    evidence: str | None
    starts_at: datetime
    expires_at: datetime | None
    lifted_at: datetime | None
    lifted_because: str | None
    key_id: str


class SuppressionsShape(BaseModel):
    """Entries of people, past and lifted ones among them."""

    suppressions: list[SuppressionShape]


class Erase(BaseModel):
    """A person to erase, for good."""

    model_config = _body(user_id="u17", code="asked_on_2024-06-01")

    user_id: Text
    code: Text = "asked"


class TableToClearShape(BaseModel):
    """A table of the deployment that may still hold the person."""

    table: str
    source: str
    columns: dict[str, str] = Field(description="Our column -> the column in the source.")


class ErasedShape(BaseModel):
    """What was deleted here, and what is left to do."""

    model_config = example(
        user_id="u17",
        erased_at="2024-06-01T00:00:00Z",
        deleted={"applications": 1, "roster": 2, "reservations": 0},
        clear=[{"table": "orders", "source": "orders.csv", "columns": {"user_id": "买家"}}],
        remedy="remove u17 from these tables, then train and score again; ...",
    )

    user_id: str
    erased_at: datetime
    deleted: dict[str, int] = Field(description="Table of the operations database -> rows.")
    clear: list[TableToClearShape]
    remedy: str


class ApplicationShape(BaseModel):
    """An application without the person."""

    model_config = example(
        application_id="form-1",
        user_id="u17",
        answers={"talents": ["cooking"], "accounts": [{"platform": "weibo", "account": "kitchen17", "fans": 1200}]},
        applied_at="2024-06-01T00:00:00Z",
        repeated=False,
    )

    application_id: str
    user_id: str | None
    answers: Answers
    applied_at: datetime
    repeated: bool = Field(description="It was kept before, with the same content.")


class ApplicationPage(BaseModel):
    """Applications by id."""

    applications: list[ApplicationShape]
    next: str | None = Field(description="`after` of the next page; null at the end.")
