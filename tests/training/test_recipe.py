from pathlib import Path

import pytest

import training.recipe as recipe_file
from features.dataset import Dataset
from features.errors import ReproductionError
from tests.training.judged import recipe
from training.recipe import Recipe, code_hash, lock_hash, machine, require_same_data, require_same_tools


def here(**changes: str) -> Recipe:
    return recipe(**{"lock": lock_hash(), "code": code_hash(), "machine": machine(), **changes})


def test_the_same_tools_are_no_error_and_each_other_one_is_named() -> None:
    require_same_tools(here())
    with pytest.raises(ReproductionError, match=r"the lock of the run is 0{12}, here .*; install the requirements"):
        require_same_tools(here(lock="0" * 64))
    with pytest.raises(ReproductionError, match=r"the code of the run is 0{12}, here .*; check out the source of that run"):
        require_same_tools(here(code="0" * 64))
    with pytest.raises(ReproductionError, match=r"the machine of the run is a toaster, here it is Linux"):
        require_same_tools(here(machine="a toaster"))


def test_other_data_are_named() -> None:
    made = here()
    require_same_data(made, made.as_of, made.fingerprint)
    with pytest.raises(ReproductionError, match=r"the data ends 2024-08-01.*, that of the run ended 2024-07-01"):
        require_same_data(made, "2024-08-01T00:00:00")
    with pytest.raises(ReproductionError, match="rows were added, changed or removed since"):
        require_same_data(made, made.as_of, "0" * 64)


def test_hashes_change_with_what_they_are_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path
    monkeypatch.setattr(recipe_file, "ROOT", root)
    installed = lock_hash()
    (root / "features").mkdir()
    (root / "features" / "a.py").write_text("one")
    (root / "requirements.lock").write_text("a==1\n")
    first = lock_hash(), code_hash()
    (root / "features" / "a.py").write_text("two")
    (root / "requirements.lock").write_text("a==2\n")
    assert installed != first[0] != lock_hash()
    assert first[1] != code_hash()


def test_passwords_of_databases_are_kept_nowhere() -> None:
    for url, kept in (
        ("postgresql://reader:se:cret@db.example/crm?sslmode=require", "postgresql://reader@db.example/crm?sslmode=require"),
        ("postgres://reader:se@cret@db/crm", "postgres://reader@db/crm"),
        ("postgres://db/crm?user=a&password=xx&sslmode=require", "postgres://db/crm?user=a&password=&sslmode=require"),
    ):
        orders = {"source": url, "table": "orders"}
        shown = Dataset.model_validate({"name": "shop", "root": ".", "tables": {"orders": orders}}).without_passwords()
        assert shown.tables["orders"].source == kept
        assert shown.without_passwords() == shown
    plain = Dataset.model_validate({"name": "shop", "root": ".", "tables": {"orders": {"source": "a:b@c.csv"}}})
    assert plain.without_passwords() == plain
