"""The data dictionary lists every feature of the user table, and nothing else."""

import re

from features.blocks.all import ALL_BLOCKS
from features.dictionary import dictionary_markdown
from tests.features.blocks.full_world import full_user_table
from tests.paths import REPO


def listed() -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", dictionary_markdown(), re.MULTILINE)


def test_the_page_in_docs_is_the_generated_one() -> None:
    page = REPO / "docs" / "data-dictionary.md"
    assert page.read_text(encoding="utf-8") == dictionary_markdown(), f"write it again: koc dictionary --out {page}"


def test_every_column_is_listed_once_and_every_line_is_a_column_in_their_order() -> None:
    _, built = full_user_table()
    windows = ("3d", "10d", "20d")
    columns = [name.replace("{w}", w) for name in listed() for w in (windows if "{w}" in name else ("",))]
    assert len(columns) == len(set(columns))
    assert columns == [column for column in built.table.columns if column != "user_id"]


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
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == [*(block.name for block in ALL_BLOCKS), "neighbours"]
