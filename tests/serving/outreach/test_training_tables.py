"""What operations recorded, read back as tables of a dataset."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from features.dataset import read_dataset
from features.engine import DuckDB
from features.intake.open_tables import open_tables
from features.snapshot import take_snapshot
from features.tables import Tables
from serving.outreach.erasures import Erasures
from serving.outreach.outcomes import Outcome, Outcomes
from serving.outreach.outreach import Contact, Outreach
from serving.outreach.roster import ExternalContact, Roster
from serving.state.database import Database
from tests.files import write_csv
from tests.paths import REPO
from tests.serving.outreach.shop import ALL, day, people_of, put_list
from tests.worlds import rows_of

TABLES = re.search(r"```toml\n(\[tables\.outreach\].*?)```", (REPO / "docs" / "outreach.md").read_text(), re.DOTALL)


@pytest.fixture
def opened(database_url: str, tmp_path: Path) -> Callable[[], Tables]:
    """Opens the shop's tables with the lines of docs/outreach.md, which name the operations database as their source."""
    # Times of the files are local: those of the operations database are not, and its lines say so.
    write_csv(tmp_path / "orders.csv", "user_id,ordered_at", "u1,2024-06-01 12:00", "u1,2024-12-01 12:00")
    source = database_url.replace("sqlite:///", "sqlite://")
    assert TABLES is not None
    lines = TABLES[1].replace("sqlite://.koc/operations.db", source)
    (tmp_path / "dataset.toml").write_text(f'zone = "Asia/Shanghai"\n[tables.orders]\nsource = "orders.csv"\n{lines}')

    def opened() -> Tables:
        return open_tables(read_dataset(tmp_path / "dataset.toml"), DuckDB(threads=1))[0]

    return opened


def naive(number: float) -> pd.Timestamp:
    return pd.Timestamp(day(number).replace(tzinfo=None))


def test_contacts_and_the_held_out_are_the_outreach_of_the_next_training(
    database: Database, tmp_path: Path, opened: Callable[[], Tables]
) -> None:
    put_list(database, {"u1": "contact", "u2": "holdout", "u3": "holdout"})
    people = people_of(tmp_path)
    contacts = [
        Contact(key="1", user_id="u1", list_id="list1", channel="sms", incentive="tea", cost=150, staff="li",
                contacted_at=day(1)),
        Contact(key="2", user_id="u1", list_id="list1", channel="wecom", contacted_at=day(5)),
        Contact(key="3", user_id="u5", campaign_id="spring", contacted_at=day(2)),
    ]  # fmt: skip
    Outreach(database, people, 9).record(ALL, contacts, now=day(6))
    acts = [
        Outcome(key="1", user_id="u1", list_id="list1", outcome="declined", happened_at=day(2)),
        Outcome(key="2", user_id="u1", list_id="list1", outcome="accepted", happened_at=day(3)),
        Outcome(key="3", user_id="u1", list_id="list1", outcome="converted", amount=9, happened_at=day(5)),
        Outcome(key="0", user_id="u3", list_id="list1", outcome="shared", happened_at=day(-1)),
        Outcome(key="4", user_id="u2", list_id="list1", outcome="shared", happened_at=day(4)),
        Outcome(key="5", user_id="u5", campaign_id="spring", outcome="shared", happened_at=day(1)),
    ]
    Outcomes(database, people).record(ALL, acts, now=day(7))
    tables = opened()
    found = rows_of(tables, tables.tables["outreach"], "user_id", "contacted_at")
    columns = ["campaign_id", "user_id", "arm", "channel", "cost", "outcome", "contacted_at"]
    shown = found[columns].astype(object).where(found[columns].notna(), None).to_numpy().tolist()
    # u5 shared before being contacted, so the contact did not bring it about.
    assert shown == [
        ["list1", "u1", "contacted", "sms", 150, "accepted", naive(1)],
        ["list1", "u1", "contacted", "wecom", None, "converted", naive(5)],
        ["list1", "u2", "holdout", None, None, "shared", naive(0)],
        ["list1", "u3", "holdout", None, None, None, naive(0)],
        ["spring", "u5", "contacted", None, None, None, naive(2)],
    ]
    assert found.outcome_at.dropna().unique().tolist() == [naive(7)]
    assert found.recorded_at.tolist() == [naive(6), naive(6), naive(0), naive(0), naive(6)]
    assert tables.given["outreach"] == set(found.columns)
    # Known is what was recorded: at day 6.5 the contacts, and not yet what came of them.
    snapshot = take_snapshot(tables, naive(6.5).to_pydatetime())
    known = rows_of(snapshot, snapshot["outreach"], "user_id")
    assert len(known) == 5
    assert known.outcome.isna().all()


def test_d07_the_roster_is_identities_and_memberships_of_the_next_training(
    database: Database, tmp_path: Path, opened: Callable[[], Tables]
) -> None:
    told = {"added_at": day(1)}
    contacts = [
        ExternalContact(external_id="w1", user_id="u1", staff="li", community_id="g1", inviter_id="w2", **told),
        ExternalContact(external_id="w1", staff="wang", community_id="g2", **told),
        ExternalContact(external_id="w2", user_id="u2", **told),
        ExternalContact(external_id="w3", community_id="g1", **told),
    ]
    Roster(database, people_of(tmp_path)).bring_in(ALL, contacts, now=day(2))
    tables = opened()
    identities = rows_of(tables, tables.tables["identities"], "user_id")
    assert identities[["user_id", "kind", "value"]].to_numpy().tolist() == [
        ["u1", "external_userid", "w1"], ["u2", "external_userid", "w2"],
    ]  # fmt: skip
    assert identities.valid_from.tolist() == [naive(1)] * 2
    memberships = rows_of(tables, tables.tables["memberships"], "community_id")
    joined = memberships[["community_id", "user_id", "joined_at", "recorded_at"]].to_numpy().tolist()
    assert joined == [["g1", "u1", naive(1), naive(2)], ["g2", "u1", naive(1), naive(2)]]
    assert memberships.inviter_id[0] == "u2"


def test_tables_without_rows_have_their_types_too(opened: Callable[[], Tables]) -> None:
    tables = opened()
    for name in ("outreach", "identities", "memberships"):
        assert len(rows_of(tables, tables.tables[name])) == 0


def test_the_erased_are_in_no_training(database: Database, tmp_path: Path, opened: Callable[[], Tables]) -> None:
    put_list(database, {"u1": "contact", "u2": "holdout"})
    Outreach(database, people_of(tmp_path), 9).record(ALL, [Contact(key="1", user_id="u1", list_id="list1")], now=day(1))
    for user in ("u1", "u2"):
        Erasures(database, tmp_path / "none.toml").erase(ALL, user, "asked", now=day(2))
    tables = opened()
    assert len(rows_of(tables, tables.tables["outreach"])) == 0
