"""`koc candidates`: a ranked list in the terminal, as CSV or as JSON."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from serving.cli.operations import DatabaseUrl, operations
from serving.cli.options import DEFAULT_HOME, Home, console
from serving.criteria import Criteria, RankBy

if TYPE_CHECKING:
    import pyarrow as pa

    from serving.evidence import Evidence
    from serving.store.filters import Filters

Rows = list[dict[str, Any]]


class Format(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def candidates(
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 20,
    by: Annotated[
        RankBy,
        typer.Option(
            help="Rank by follow-ups expected, their money, rising, the person's own spending, or money less cost."
        ),
    ] = RankBy.SCORE,
    category: Annotated[str | None, typer.Option(help="Rank by the influence expected in this category.")] = None,
    max_churn: Annotated[float | None, typer.Option(min=0, max=1, help="Leave out likelier leavers.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only this lifecycle stage, such as active.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Any column, such as attribute_region=Hangzhou, koc_percentile>=90 or reachable=sms; repeatable."),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print the list.")] = Format.TABLE,
    evidence: Annotated[
        bool,
        typer.Option("--evidence", help="Show who followed, to what, when, who may follow next, and what to hand on."),
    ] = False,
    barred: Annotated[
        bool, typer.Option("--barred", help="Also people who may not be contacted, such as those suppressed for abuse.")
    ] = False,
    scores: Annotated[Path | None, typer.Option(help="Folder of batches; default: scores/ at home.")] = None,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
) -> None:
    """The best candidates of the current scores who may be contacted, best first.

    Example: koc candidates --limit 50 --max-churn 0.3 --where "koc_percentile>=90" --format csv > list.csv
    """
    import pyarrow.csv

    from features.errors import ScoresError
    from serving.candidates import candidates as select
    from serving.candidates import likely_followers
    from serving.store.filters import parse_filters
    from serving.store.score_store import ScoreStore

    if evidence and form is Format.CSV:
        raise ScoresError("--evidence has several rows for a candidate, and a line of CSV holds one; use --format json")
    batch = ScoreStore(scores or home / "scores").open()
    filters = parse_filters(where or [])
    out = [] if barred else stopped(home, database_url, filters)
    listed = select(batch, Criteria(limit, by, category, max_churn, stage, filters), out)
    ids = listed["user_id"].combine_chunks()
    beside = by_user(batch.evidence().of(ids), likely_followers(batch, ids)) if evidence else None
    if form is Format.CSV:
        pyarrow.csv.write_csv(listed, sys.stdout.buffer)
    elif form is Format.JSON:
        import json

        rows = listed.to_pylist()
        if beside is not None:
            for row in rows:
                row.update(vars(beside.get(row["user_id"], Beside())))
        print(json.dumps(rows, ensure_ascii=False, indent=1, default=lambda moment: moment.isoformat()))
    else:
        show(listed, beside)


def stopped(home: Path, database_url: str | None, filters: "Filters") -> list[str]:
    """Ids of people with an entry against contact, through the channel that ``filters`` name if they do."""
    from datetime import UTC, datetime

    from serving.outreach.suppressions import blocked
    from serving.store.filters import channel_of

    with operations(home, database_url) as database, database.read() as connection:
        found = blocked(connection, None, datetime.now(UTC), channel_of(filters))
    ids: list[str] = found["user_id"].to_pylist()
    return ids


@dataclass(frozen=True)
class Beside:
    """Rows of evidence of one candidate: who followed, who is likely to follow next, and what to hand on."""

    follow_ups: Rows = field(default_factory=list)
    likely_followers: Rows = field(default_factory=list)
    next_items: Rows = field(default_factory=list)


def show(listed: "pa.Table", beside: Mapping[str, Beside] | None = None) -> None:
    """Print a list for people; with ``beside``, under each reason who followed, to what, when, who may follow next, and
    what to hand on."""
    grid = Table(Column("rank", justify="right"), "user", Column("expected follow-ups", justify="right"),
                 Column("churn", justify="right"), "stage", "role", Column("why", overflow="fold"))  # fmt: skip
    for row in listed.to_pylist():
        churn = row.get("churn_probability")
        why = [row["reason"] or "beyond the explained top"]
        if beside is not None:
            why += _told(beside.get(row["user_id"], Beside()))
        grid.add_row(
            str(row["rank"]), escape(row["user_id"]), f"{row.get('category_score', row['koc_score']):.2f}",
            "-" if churn is None else f"{churn:.0%}", row["stage"], (row.get("role") or "-").replace("_", " "),
            escape("\n".join(why)),
        )  # fmt: skip
    console.print(grid)


def by_user(evidence: "Evidence", likely: "pa.Table") -> dict[str, Beside]:
    """User -> rows of evidence; likely: as from `serving.candidates.likely_followers`."""
    found: dict[str, Beside] = {}
    for row in evidence.follow_ups.to_pylist():
        found.setdefault(row.pop("user_id"), Beside()).follow_ups.append(row)
    for row in likely.to_pylist():
        found.setdefault(row.pop("influencer_id"), Beside()).likely_followers.append(row)
    for row in evidence.next_items.to_pylist():
        found.setdefault(row.pop("user_id"), Beside()).next_items.append(row)
    return found


def item(row: Mapping[str, Any]) -> str:
    """The item and its category, as far as they are known."""
    named = row["item_id"] or "no item"
    return f"{named} ({row['category']})" if row["category"] else named


def _told(beside: Beside) -> list[str]:
    lines = [
        f"{row['happened_at']:%Y-%m-%d} {row['influenced_id']} followed to {item(row)}: {row['evidence']}"
        for row in beside.follow_ups
    ]
    if likely := [f"{row['user_id']} ({row['probability']:.0%})" for row in beside.likely_followers]:
        lines.append(f"likely to follow next: {', '.join(likely)}")
    return lines + [f"hand on {item(row)}: {row['because']}" for row in beside.next_items]
