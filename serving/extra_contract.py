"""What makes columns of a batch without a model: a function of a snapshot and its frame, and what its docstring lists."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from features.snapshot import Snapshot
from training.frame import Frame

Build = Callable[[Snapshot, Frame], pa.Table]


@dataclass(frozen=True)
class ExtraColumns:
    """A named family of columns of a batch.

    ``build``: prepared snapshot and its frame -> ``user_id``, each once, in any order, and the columns that its docstring
    lists, one a line: name, type (of Arrow) and meaning, set apart by two spaces or more. Users of the frame whom it does
    not name get nulls. ``needs``: table -> columns that the dataset must give; without them none of the columns is there.
    """

    name: str
    build: Build
    needs: Mapping[str, tuple[str, ...]]

    @property
    def columns(self) -> dict[str, str]:
        """Column -> what it means, as the docstring lists them."""
        found = (_LINE.match(line) for line in (self.build.__doc__ or "").splitlines())
        return {match["name"]: match["meaning"] for match in found if match and match["name"] != "user_id"}

    def available(self, snapshot: Snapshot) -> bool:
        """Whether the snapshot's dataset gives all that the columns need."""
        return all(snapshot.has(table, *columns) for table, columns in self.needs.items())


def extra(needs: Mapping[str, tuple[str, ...]]) -> Callable[[Build], ExtraColumns]:
    """Make an `ExtraColumns` of a function."""

    def decorate(build: Build) -> ExtraColumns:
        return ExtraColumns(build.__name__, build, needs)

    return decorate


_LINE = re.compile(r"^\s+(?P<name>[a-z0-9_]+)\s{2,}(?:string|int64|float64|bool)\s{2,}(?P<meaning>.+)$")
