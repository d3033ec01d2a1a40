"""The data-quality report: its numbers, what is switched off, its cautions, and its two forms."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from features.engine import DuckDB
from features.intake.open_tables import open_tables
from features.intake.quality import QualityReport, render
from tests.files import dataset_of, write_csv


@dataclass(frozen=True)
class Block:
    name: str
    needs: Mapping[str, tuple[str, ...]]
    any_of: tuple[Mapping[str, tuple[str, ...]], ...] = ()


BLOCKS = (
    Block("purchase", {"orders": ("user_id",)}),
    Block("discounts", {"orders": ("discount", "channel")}),
    Block("sharing", {"orders": (), "shares": ("sharer_id",)}),
)


@pytest.fixture
def report(tmp_path: Path) -> QualityReport:
    """Four people with events, three of them tied, around the hub h."""
    orders = [
        "u1,2024-01-01,5,1,x",
        "u1,2024-01-01,5,1,x",
        "u2,2024-01-03,7,,y",
        "u3,2024-01-02,7,,x",
        "u4,2024-01-02,-1,,x",
    ]
    write_csv(tmp_path / "orders.csv", "user_id,ordered_at,amount,refund_amount,item_id", *orders, "h,2024-01-01,1,,x")
    write_csv(tmp_path / "ties.csv", "user_id,influencer_id", "u1,h", "u2,h", "u1,u2", "u9,u2", "u8,u2")
    write_csv(tmp_path / "items.csv", "item_id", "x")
    write_csv(tmp_path / "people.csv", "user_id,城市", "u1,杭州")
    attributes = {
        "source": "people.csv",
        "columns": {"user_id": "user_id"},
        "unpivot": {"region": "城市"},
        "constants": {"valid_from": "2024-01-01"},
    }
    tables = {**{name: {"source": f"{name}.csv"} for name in ("orders", "ties", "items")}, "attributes": attributes}
    return open_tables(dataset_of(tmp_path, tables, caution="a toy"), DuckDB(threads=1), blocks=BLOCKS)[1]


def test_rows_times_and_people(report: QualityReport) -> None:
    orders = report.tables["orders"]
    assert (orders.read, orders.kept, orders.set_aside, orders.repeats) == (6, 5, 1, 0)
    assert (orders.first, orders.last) == (datetime(2024, 1, 1), datetime(2024, 1, 3))
    assert "recorded_at" in orders.absent
    assert "amount" not in orders.absent
    assert (report.users, report.users_with_ties) == (4, 0.75)
    assert report.hubs == (("u2", 3), ("h", 2))
    assert report.set_aside == 1
    assert not report.clean


def test_defects_are_counted(report: QualityReport) -> None:
    assert [(f.defect.value, f.table, f.rows) for f in report.findings] == [
        ("negative_amount", "orders", 1),
        ("dangling_id", "orders", 1),
        ("duplicate_event", "orders", 1),
    ]


def test_absent_tables_switch_blocks_off(report: QualityReport) -> None:
    assert report.switched_off == {"discounts": ("orders.discount", "orders.channel"), "sharing": ("shares",)}
    assert "shares" in report.absent_tables
    assert "ties" not in report.absent_tables


def test_cautions_say_what_the_data_cannot_tell(report: QualityReport) -> None:
    toy, undated, flat, refund = report.cautions
    assert toy == "a toy"
    assert "ties have no dates" in undated
    assert "known from the export's date on" in flat
    assert refund == "orders.refund_amount is never used: without refunded_at nobody knows when it was known"


def test_the_report_as_json_and_for_people(report: QualityReport) -> None:
    content = json.loads(report.to_json())
    assert content["tables"]["orders"]["last"] == "2024-01-03T00:00:00"
    assert content["findings"][0]["examples"] == [{"row": 6, "value": "-1"}]
    assert content["findings"][0]["severity"] == "set_aside"
    page = io.StringIO()
    render(report, Console(file=page, width=200))
    for text in (
        "negative amounts",
        "row 6: -1",
        "4 users, 75.0% with ties; largest hubs: u2 (3), h (2)",
        "no shares",
        "a toy",
    ):
        assert text in page.getvalue()
