"""`koc card`: everything that is known of one user."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from serving.cli.operations import DatabaseUrl, operations
from serving.cli.options import DEFAULT_HOME, Home, console

if TYPE_CHECKING:
    from serving.cards import Card, Match


class Format(StrEnum):
    """How a card is printed."""

    TABLE = "table"
    JSON = "json"


def card(
    user: Annotated[str, typer.Argument(help="Id of the user, as in the scores.")],
    matches: Annotated[bool, typer.Option("--matches", help="Also show who is likeliest to move this user.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How to print the card.")] = Format.TABLE,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
) -> None:
    """The score card of a user: what may come, what has been, why, and what operations know.

    Example: koc card u1047 --matches
    """
    from dataclasses import asdict

    from serving.cards import Cards
    from serving.store.score_store import ScoreStore
    from serving.store.served import Served

    with operations(home, database_url) as database:
        cards = Cards(Served(ScoreStore(home / "scores")), database)
        found = cards.card(user)
        movers = cards.matches(user) if matches else None
    if form is Format.JSON:
        import json

        content = asdict(found) | ({} if movers is None else {"matches": [asdict(match) for match in movers]})
        print(json.dumps(content, ensure_ascii=False, indent=1, default=lambda moment: moment.isoformat()))
    else:
        show(found, movers)


def show(card: "Card", movers: "Sequence[Match] | None" = None) -> None:
    """Print a card for people."""
    grid = Table(show_header=False, title=escape(f"{card.user_id} as of {card.as_of:%Y-%m-%d} by {card.model}"))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, lines in _sections(card, movers):
        if lines:
            grid.add_row(name, escape("\n".join(lines)))
    console.print(grid)


def _sections(card: "Card", movers: "Sequence[Match] | None") -> list[tuple[str, list[str]]]:
    return [
        ("what may come", _pairs(card.potential or {})),
        ("what has been", _pairs(card.activated or {})),
        ("churn", [] if card.churn_probability is None else [f"{card.churn_probability:.0%}"]),
        ("stage", [card.stage] if card.stage else []),
        ("scores", _pairs(card.scores)),
        ("attributes", _pairs(card.attributes)),
        ("why", [reason for reason in (card.reason, card.reason_zh) if reason]),
        ("who followed", [f"{r['happened_at']:%Y-%m-%d} {r['influenced_id']}: {r['evidence']}" for r in card.follow_ups]),
        ("likely to follow", [f"{row['user_id']} ({row['probability']:.0%})" for row in card.likely_followers]),
        ("hand on", [f"{row['item_id']}: {row['because']}" for row in card.next_items]),
        ("moved by category", [f"{row['category']}: {row['influence']:.1f}" for row in card.categories]),
        ("may not be contacted", [card.blocked_by] if card.blocked_by else []),
        ("suppressions", [f"{one.starts_at:%Y-%m-%d} {one.kind}: {one.code}" for one in card.suppressions]),
        ("contacts", [f"{row['contacted_at']:%Y-%m-%d} {row['campaign_id']}: {row['arm']}" for row in card.contacts]),
        ("outcomes", [f"{row['happened_at']:%Y-%m-%d} {row['outcome']}" for row in card.outcomes]),
        ("lists", [f"{row['list_id']}: {row['state']} ({row['arm']})" for row in card.lists]),
        ("history", [", ".join(_pairs(row)) for row in card.history]),
        ("likely to move this user", [f"{match.influencer_id} ({match.probability:.0%})" for match in movers or ()]),
    ]


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{name} {_shown(value)}" for name, value in values.items() if value is not None]


def _shown(value: object) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else str(value)
