"""Datasets that one command reads together, each from its own file or folder, told apart by name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving.cli.options import DEFAULT_DATASET, DEFAULT_THREADS, open_dataset, read

if TYPE_CHECKING:
    from features.dataset import Dataset
    from training.timeline import Timeline

Datasets = Annotated[list[Path] | None, typer.Option("--dataset", help="A dataset file; repeat to pool several.")]
Roots = Annotated[
    list[Path] | None, typer.Option("--root", help="Folder of tables; one for each dataset, or several for one.")
]


def read_pooled(files: list[Path] | None, roots: list[Path] | None, test_dates: list[str] | None) -> "list[Dataset]":
    """One dataset for each file, or for each folder of one file; several folders give their names."""
    datasets = []
    for file, folder in _paired(files or [DEFAULT_DATASET], roots or []):
        one = read(file, folder, test_dates)
        if folder and roots and len(roots) > 1:
            one = one.model_copy(update={"name": folder.resolve().name})
        datasets.append(one)
    _require_names_apart([one.name for one in datasets])
    return datasets


def open_timelines(
    datasets: "list[Dataset]", *, quarantine: Path | None = None, memory: str | None = None, threads: int = DEFAULT_THREADS
) -> "list[Timeline]":
    """Validated tables of each dataset, with a cache of their features by date."""
    from training.timeline import Timeline

    opened = (open_dataset(one, quarantine=quarantine, memory=memory, threads=threads) for one in datasets)
    return [Timeline(tables) for tables, _ in opened]


def _require_names_apart(names: list[str]) -> None:
    if twice := {name for name in names if names.count(name) > 1}:
        raise typer.BadParameter(f"several datasets are named {', '.join(sorted(twice))}; set `name` in their files")


def _paired(datasets: list[Path], roots: list[Path]) -> list[tuple[Path, Path | None]]:
    if len(datasets) == 1 and roots:
        return [(datasets[0], root) for root in roots]
    if roots and len(roots) != len(datasets):
        raise typer.BadParameter(f"{len(datasets)} datasets and {len(roots)} roots; give one root for each dataset, or none")
    folders: list[Path | None] = [*roots] or [None] * len(datasets)
    return list(zip(datasets, folders, strict=True))
