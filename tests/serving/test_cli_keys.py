from pathlib import Path

import pytest

from serving.access.keys import Keys
from serving.settings import ServiceSettings
from serving.state.database import Database
from tests.command import koc


def keys_at(home: Path) -> Keys:
    return Keys(Database(ServiceSettings(home=home).operations_url))


def test_a_key_is_printed_alone_and_works(tmp_path: Path) -> None:
    made = koc(
        "keys", "create", "crm", "--scope", "operate", "--rows", "attribute_region=Hangzhou, Suzhou", "--home", tmp_path
    )
    assert made.status == 0
    principal = keys_at(tmp_path).verify(made.out.strip())
    assert (principal.name, list(principal.scopes)) == ("crm", ["operate"])
    assert principal.row_scope == {"attribute_region": ("Hangzhou", "Suzhou")}
    assert "it is not shown again" in made.err


def test_the_list_names_keys_without_their_secrets(tmp_path: Path) -> None:
    text = koc("keys", "create", "crm", "--days", 90, "--home", tmp_path).out.strip()
    shown = koc("keys", "list", "--home", tmp_path, columns=200)
    assert shown.status == 0
    assert all(word in shown.out for word in ("crm", "read", "all", "valid", text.split("_")[1]))
    assert text.split("_")[2] not in shown.out
    assert text.split("_")[1] in koc("keys", "list", "--home", tmp_path, columns=80).out


def test_without_keys_one_is_told_how_to_make_one(tmp_path: Path) -> None:
    assert "make one with `koc keys create NAME`" in koc("keys", "list", "--home", tmp_path).out


def test_a_rotated_key_and_its_successor_work_and_a_revoked_one_does_not(tmp_path: Path) -> None:
    old = koc("keys", "create", "crm", "--home", tmp_path).out.strip()
    new = koc("keys", "rotate", old.split("_")[1], "--home", tmp_path).out.strip()
    keys = keys_at(tmp_path)
    assert keys.verify(old).name == keys.verify(new).name == "crm"
    assert koc("keys", "revoke", new.split("_")[1], "--home", tmp_path).status == 0
    assert [key.revoked_at is not None for key in keys.all()].count(True) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scope", "rule"), "unknown scope 'rule'"),
        (("--rows", "Hangzhou"), "is not COLUMN=VALUE,VALUE"),
        (("--expires", "soon"), "is not a date"),
        (("--expires", "2020-01-01"), "has passed"),
        (("--expires", "2999-01-01", "--days", 3), "give one"),
    ],
)
def test_what_makes_no_key_says_why(tmp_path: Path, arguments: tuple[object, ...], said: str) -> None:
    ran = koc("keys", "create", "crm", *arguments, "--home", tmp_path, columns=300)
    assert ran.status != 0
    assert ran.out == ""
    assert said in ran.err
