import csv
import io
import json
from pathlib import Path

from tests.command import koc


def test_the_log_as_a_table_as_csv_and_as_json(tmp_path: Path) -> None:
    text = koc("keys", "create", "crm", "--home", tmp_path).out.strip()
    key_id = text.split("_")[1]
    assert key_id in koc("audit", "--home", tmp_path, columns=200).out
    (row,) = csv.DictReader(io.StringIO(koc("audit", "--format", "csv", "--home", tmp_path).out))
    (entry,) = json.loads(koc("audit", "--format", "json", "--home", tmp_path).out)
    assert (row["action"], row["subject"], row["key_id"]) == ("key.create", key_id, "local")
    assert json.loads(row["criteria"]) == entry["criteria"]
    assert entry["criteria"]["name"] == "crm"
    assert koc("audit", "--action", "list", "--format", "json", "--home", tmp_path).out == "[]\n"


def test_a_date_that_is_none_is_named(tmp_path: Path) -> None:
    ran = koc("audit", "--since", "yesterday", "--home", tmp_path, columns=200)
    assert ran.status != 0
    assert "--since 'yesterday' is not a date" in ran.err
