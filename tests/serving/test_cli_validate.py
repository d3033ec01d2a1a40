import json
from pathlib import Path

from tests.command import koc
from tests.files import write_csv

DATASET = """
name = "shop"
[tables.orders]
source = "orders.csv"
columns = { user_id = "buyer", ordered_at = "paid at", amount = "total" }
"""


def shop(folder: Path, *rows: str) -> Path:
    write_csv(folder / "orders.csv", "buyer,paid at,total", *rows)
    (folder / "dataset.toml").write_text(DATASET)
    return folder / "dataset.toml"


def test_the_report_is_the_only_thing_on_standard_output(tmp_path: Path) -> None:
    report = tmp_path / "new" / "report.json"
    ran = koc("validate", "--dataset", shop(tmp_path, "a,2024-01-01,100", "b,2024-01-02,200"), "--json", report)
    assert ran.status == 0
    assert "shop, observed until 2024-01-03" in ran.out
    assert "reading shop" in ran.err
    assert "reading shop" not in ran.out
    tables = json.loads(report.read_text())
    assert "orders" in json.dumps(tables)


def test_bad_rows_stop_until_they_may_be_set_aside(tmp_path: Path) -> None:
    dataset = shop(tmp_path, "a,2024-01-01,100", "b,tomorrow,200")
    ran = koc("validate", "--dataset", dataset)
    assert ran.status == 1
    assert "Traceback" not in ran.err
    assert "tomorrow" in ran.err
    aside = tmp_path / "aside"
    ran = koc("validate", "--dataset", dataset, "--quarantine", aside)
    assert ran.status == 0
    assert "1 rows set aside; `koc validate` says which and why" in ran.err
    assert any(aside.iterdir())


def test_a_file_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    ran = koc("validate", "--dataset", shop(tmp_path, "a,2024-01-01,100"), "--json", tmp_path)
    assert ran.status == 1
    assert f"error cannot write {tmp_path}: Is a directory; name another file" in ran.err


def test_another_root_reads_other_tables(tmp_path: Path) -> None:
    dataset = shop(tmp_path, "a,2024-01-01,100")
    (tmp_path / "other").mkdir()
    write_csv(tmp_path / "other" / "orders.csv", "buyer,paid at,total", "a,2023-05-05,100")
    assert "observed until 2023-05-06" in koc("validate", "--dataset", dataset, "--root", tmp_path / "other").out
