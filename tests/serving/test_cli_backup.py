from pathlib import Path

from tests.command import koc


def test_a_backup_moves_to_another_home(tmp_path: Path) -> None:
    text = koc("keys", "create", "crm", "--home", tmp_path / "a").out.strip()
    file = tmp_path / "koc.zip"
    assert koc("backup", file, "--home", tmp_path / "a").status == 0
    ran = koc("restore", file, "--home", tmp_path / "b")
    assert ran.status == 0, ran.err
    assert text.split("_")[1] in koc("keys", "list", "--home", tmp_path / "b", columns=200).out


def test_a_home_in_use_is_replaced_only_with_yes(tmp_path: Path) -> None:
    koc("keys", "create", "crm", "--home", tmp_path)
    koc("backup", tmp_path / "koc.zip", "--home", tmp_path)
    ran = koc("restore", tmp_path / "koc.zip", "--home", tmp_path, columns=300)
    assert ran.status == 1
    assert "holds 2 rows, which restoring would replace; confirm with --yes" in ran.err
    assert koc("restore", tmp_path / "koc.zip", "--yes", "--home", tmp_path).status == 0
