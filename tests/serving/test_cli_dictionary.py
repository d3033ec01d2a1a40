from pathlib import Path

from features.dictionary import dictionary_markdown
from tests.command import koc


def test_the_dictionary_is_printed_or_written(tmp_path: Path) -> None:
    out = tmp_path / "docs" / "dictionary.md"
    assert koc("dictionary").out == dictionary_markdown() + "\n"
    ran = koc("dictionary", "--out", out)
    assert (ran.status, ran.out) == (0, "")
    assert out.read_text(encoding="utf-8") == dictionary_markdown()
