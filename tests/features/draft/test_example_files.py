"""The example's files are what its script writes, so that nobody edits them by hand."""

import runpy
from pathlib import Path

import openpyxl

from tests.paths import REPO

EXAMPLE = REPO / "docs" / "example"


def cells(path: Path) -> list[tuple[object, ...]]:
    return list(openpyxl.load_workbook(path, read_only=True).active.iter_rows(values_only=True))


def test_make_writes_the_committed_files(tmp_path: Path) -> None:
    script = tmp_path / "make.py"
    script.write_text((EXAMPLE / "make.py").read_text(encoding="utf-8"), encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")
    assert (tmp_path / "orders.csv").read_bytes() == (EXAMPLE / "orders.csv").read_bytes()
    assert cells(tmp_path / "customers.xlsx") == cells(EXAMPLE / "customers.xlsx")


def test_the_files_stay_small() -> None:
    assert sum((EXAMPLE / name).stat().st_size for name in ("orders.csv", "customers.xlsx", "make.py")) < 400_000
