"""`koc dictionary`: the data dictionary as Markdown."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.options import write_text


def dictionary(
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of the terminal.")] = None,
) -> None:
    """Every feature with type, unit, window and the tables that it needs.

    Example: koc dictionary --out docs/data-dictionary.md
    """
    from features.dictionary import dictionary_markdown

    text = dictionary_markdown()
    if out:
        write_text(out, text)
    else:
        print(text)
