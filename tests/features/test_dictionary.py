"""The data dictionary lists every feature of the user table, and nothing else."""

import re

from features.blocks.all import ALL_BLOCKS
from features.dictionary import dictionary_markdown
from features.tie_table import TIE_BLOCKS
from tests.features.blocks.full_world import full_user_table
from tests.paths import REPO

FEATURE = r"^\| `([^`]+)` \|"
WINDOWS = ("3d", "10d", "20d")


def listed() -> tuple[list[str], list[str]]:
    """Features of the user table and of the tie table."""
    users, ties = dictionary_markdown().split("\n# Tie table\n")
    return re.findall(FEATURE, users, re.MULTILINE), re.findall(FEATURE, ties, re.MULTILINE)


def test_the_page_in_docs_is_the_generated_one() -> None:
    page = REPO / "docs" / "data-dictionary.md"
    assert page.read_text(encoding="utf-8") == dictionary_markdown(), f"write it again: koc dictionary --out {page}"


def test_every_column_is_listed_once_and_every_line_is_a_column_in_their_order() -> None:
    _, built, rows = full_user_table()
    users, ties = (
        [name.replace("{w}", w) for name in names for w in (WINDOWS if "{w}" in name else ("",))] for names in listed()
    )
    assert len(users) == len(set(users))
    assert len(ties) == len(set(ties))
    assert users == [column for column in rows.columns if column != "user_id"]
    assert tuple(ties) == built.tie_columns


def test_a_line_gives_type_unit_window_and_meaning() -> None:
    page = dictionary_markdown()
    assert "| `orders_{w}` | int64 | orders | each | order lines in the window |" in page
    assert "| `recency_days` | float64 | days | all history | from the last order to as_of, > 0 |" in page
    for line in page.splitlines():
        if line.startswith("| `"):
            assert line.count("|") == 6, line


def test_a_section_names_what_the_block_needs() -> None:
    page = dictionary_markdown()
    assert "## category_spread\n\nNeeds `orders` (item_id) and `items` (category). Scope: own." in page
    assert "## activity\n\nNeeds any table with events. Scope: own." in page
    sections = [*(block.name for block in ALL_BLOCKS), "neighbours", *(block.name for block in TIE_BLOCKS), "strength"]
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == sections
