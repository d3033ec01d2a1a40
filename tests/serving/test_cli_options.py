import pytest

from serving.cli.options import notes, progress


@pytest.mark.parametrize(
    ("silence", "lines"),
    [
        (60, ["scoring", "  2024-05-31", "  2024-06-30"]),
        (0, ["scoring", "  checking orders", "  2024-05-31", "  2024-05-31: clusters", "  2024-06-30"]),
    ],
)
def test_where_no_line_can_be_rewritten_long_steps_are_told_beside_dates(
    silence: int, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.cli.options.SILENCE", silence)
    with notes.capture() as told, progress("scoring") as tell:
        for step in ("checking orders", "2024-05-31: ledger", "2024-05-31: clusters", "2024-06-30: ledger"):
            tell(step)
    assert told.get().splitlines() == lines
