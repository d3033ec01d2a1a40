"""What a feature block is: a function from a snapshot to one row per user, and the features that its docstring lists."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import ibis.expr.types as ir

from features.snapshot import Snapshot

WINDOW = "{w}"
Scope = Literal["own", "graph"]
Build = Callable[[Snapshot], ir.Table]


@dataclass(frozen=True)
class Feature:
    """One line of the data dictionary; ``{w}`` in a name stands for a window such as ``42d``.

    An int64 is a count, 0 for users whom the block does not list; a float64 is null for them.
    """

    name: str
    dtype: Literal["int64", "float64"]
    unit: str
    meaning: str

    def columns(self, windows: Iterable[str]) -> list[str]:
        """Names in a user table, one per window."""
        if WINDOW not in self.name:
            return [self.name]
        return [self.name.replace(WINDOW, suffix) for suffix in windows]


@dataclass(frozen=True)
class Block:
    """A named family of features.

    ``needs``: table -> columns that the dataset must give. ``any_of``: of these, at least one. ``scope``: ``own`` blocks
    read a user's own history, ``graph`` blocks the people around.
    """

    name: str
    build: Build
    features: tuple[Feature, ...]
    needs: Mapping[str, tuple[str, ...]]
    scope: Scope
    any_of: Sequence[Mapping[str, tuple[str, ...]]] = ()

    def available(self, snapshot: Snapshot) -> bool:
        """Whether the snapshot's dataset gives all that the block needs."""

        def gives(needs: Mapping[str, tuple[str, ...]]) -> bool:
            return all(snapshot.has(table, *columns) for table, columns in needs.items())

        return gives(self.needs) and (not self.any_of or any(map(gives, self.any_of)))

    def columns(self, windows: Iterable[str]) -> list[str]:
        """Feature columns of the block, in the order of the dictionary."""
        return [column for feature in self.features for column in feature.columns(windows)]


def block(
    needs: Mapping[str, tuple[str, ...]], *, scope: Scope = "own", any_of: Sequence[Mapping[str, tuple[str, ...]]] = ()
) -> Callable[[Build], Block]:
    """Make a Block of a function whose docstring lists its features.

    Each feature is a line of the docstring: name, type, unit and meaning, set apart by two spaces or more.
    """

    def decorate(build: Build) -> Block:
        return Block(build.__name__, build, tuple(_listed(build.__doc__ or "")), needs, scope, any_of)

    return decorate


_LINE = re.compile(r"^\s+(?P<name>[a-z0-9_{}]+)\s{2,}(?P<dtype>int64|float64)\s{2,}(?P<unit>\S.*?)\s{2,}(?P<meaning>.+)$")


def _listed(docstring: str) -> list[Feature]:
    found = (_LINE.match(line) for line in docstring.splitlines())
    return [Feature(**match.groupdict()) for match in found if match]  # type: ignore[arg-type]


def ratio(part: ir.NumericValue, whole: ir.NumericValue) -> ir.FloatingValue:
    """``part / whole``, null where ``whole`` is 0; the same on every engine."""
    return part.cast("float64") / whole.cast("float64").nullif(0.0)
