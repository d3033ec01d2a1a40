"""Folders go with their owners; those of killed processes go when the next one asks for a folder."""

import os
import tempfile
from pathlib import Path

import pytest

from features.scratch import scratch_folder
from tests.killed import killed


class Owner:
    """Somebody who sets something aside."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def set_aside(place: Path) -> None:
    tempfile.tempdir = str(place)
    owner = Owner()
    (scratch_folder(owner) / "rows").write_text("of a customer")
    os.sync()


def test_a_folder_goes_with_its_owner(place: Path) -> None:
    owner, other = Owner(), Owner()
    folder = scratch_folder(owner)
    (folder / "rows").touch()
    kept = scratch_folder(other)
    assert set(place.iterdir()) == {folder, kept}
    del owner
    assert list(place.iterdir()) == [kept]


def test_what_a_killed_process_left_goes_and_what_a_living_one_holds_stays(place: Path) -> None:
    owner, other = Owner(), Owner()
    held = scratch_folder(owner)
    assert killed(set_aside, place, call="os.sync")
    assert len(list(place.glob("koc-*/rows"))) == 1
    made = scratch_folder(other)
    assert set(place.glob("*koc-*")) == {held, made}


def test_folders_of_others_are_left_alone(place: Path) -> None:
    owner = Owner()
    (place / "koc-something").mkdir()
    (place / "notes.txt").touch()
    made = scratch_folder(owner)
    assert set(place.iterdir()) == {made, place / "koc-something", place / "notes.txt"}
