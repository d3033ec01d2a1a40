"""The page of demands names every test that carries a number, and nothing that is not there."""

from pathlib import Path

import pytest

from serving.api.app import create_app
from serving.settings import ServiceSettings
from tests.coverage_page import PAGE, carriers, coverage_markdown, numbers_of
from tests.demands import DEMANDS
from tests.paths import REPO


def test_the_page_in_docs_is_the_generated_one() -> None:
    made = coverage_markdown(DEMANDS, carriers(REPO / "tests"))
    assert PAGE.read_text(encoding="utf-8") == made, "write it again: python -m tests.coverage_page"


def test_every_demand_is_listed_once() -> None:
    assert [*DEMANDS] == [*range(1, 82)]


def test_what_is_delivered_has_a_test_and_what_is_tested_is_delivered() -> None:
    assert {number for number, (_, by) in DEMANDS.items() if by} == set(carriers(REPO / "tests"))


def test_what_delivers_is_there() -> None:
    paths = create_app(ServiceSettings()).openapi()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    for number, (_, by) in DEMANDS.items():
        for one in by:
            assert (one in routes) if " /" in one else (REPO / one).is_file(), f"D{number}: there is no {one}"


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("test_d14_levels", [14]),
        ("test_d14_d15_levels", [14, 15]),
        ("test_d06_rules_of_help", [6]),
        ("test_days_d14_levels", []),
        ("test_d1_without_a_zero", []),
    ],
)
def test_numbers_are_read_from_the_beginning_of_a_name(name: str, numbers: list[int]) -> None:
    assert numbers_of(name) == numbers


def test_a_page_of_three_demands(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "test_tea.py").write_text(
        "def test_d02_d01_tea() -> None: ...\ndef test_d01_cups() -> None: ...\ndef helper_d03_pot() -> None: ...\n"
    )
    found = carriers(tmp_path)
    assert found == {
        1: [("features/test_tea.py", "test_d01_cups"), ("features/test_tea.py", "test_d02_d01_tea")],
        2: [("features/test_tea.py", "test_d02_d01_tea")],
    }
    page = coverage_markdown({1: ("tea", ("a.py", "GET /tea")), 2: ("cups", ("b.py",)), 3: ("pots", ())}, found)
    met, still_open = page.split("## Open")
    assert (
        "| D1 | tea | `a.py`<br>`GET /tea` | [test_d01_cups](../tests/features/test_tea.py)<br>"
        "[test_d02_d01_tea](../tests/features/test_tea.py) |\n| D2 | cups |"
    ) in met
    assert "D3" not in met
    assert still_open.endswith("| --- | --- |\n| D3 | pots |\n")
