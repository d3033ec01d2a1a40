"""One row per user with every feature that the dataset allows: what models learn from and score."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import ibis.expr.types as ir

from features.blocks.all import ALL_BLOCKS
from features.blocks.block import Feature, Scope
from features.blocks.neighbours import SIDES, neighbour_features, neighbour_table
from features.engine import Engine, rows_in
from features.lookback import release_lookback, within_lookback
from features.snapshot import Snapshot
from features.tie_table import build_tie_table, tie_features

CELLS_AT_ONCE = 100_000_000
"""Features of users joined in one go: an engine holds all that it joins in memory, whatever it may spill."""


@dataclass(frozen=True)
class UserTable:
    """Features at one date.

    ``table``: user_id and one column per feature; one row for each user with an act before ``as_of``.
    ``columns``: scope -> feature columns, ``own`` (the user's own history) and ``graph`` (the people around).
    ``ties``: the tie table that graph features were drawn from, see `features.tie_table`; without rows where nobody is
    known to know anybody. ``tie_columns``: its feature columns. Both tables are held until the caller releases them.
    """

    table: ir.Table
    columns: Mapping[Scope, tuple[str, ...]]
    ties: ir.Table
    tie_columns: tuple[str, ...]


def build_user_table(snapshot: Snapshot, progress: Callable[[str], None] = lambda _: None) -> UserTable:
    """Build all available blocks of a prepared snapshot and join them on the users with an act before ``as_of``."""
    engine, windows = snapshot.engine, snapshot.windows
    acts = snapshot["acts"]
    users = engine.materialise(acts.group_by("user_id").agg(acts_seen=acts.count()).select("user_id"))
    prepared, snapshot = snapshot, within_lookback(snapshot)
    progress("ties")
    ties = build_tie_table(snapshot)
    tie_columns = tuple(column for feature in tie_features(snapshot) for column in feature.columns(windows))
    snapshot = snapshot.with_tables(tie_table=ties)
    columns: dict[Scope, list[str]] = {"own": [], "graph": []}
    parts: list[ir.Table] = []
    features: list[Feature] = []
    for block in ALL_BLOCKS:
        if not block.available(snapshot):
            continue
        progress(block.name.replace("_", " "))
        names = block.columns(windows)
        parts.append(engine.materialise(block.build(snapshot).select("user_id", *names)))
        columns[block.scope] += names
        features += block.features
    base = _joined(engine, users, parts, features, windows)
    release_lookback(snapshot, prepared)
    if "pairs" not in snapshot:
        return UserTable(base, {scope: tuple(names) for scope, names in columns.items()}, ties, tie_columns)
    progress("neighbours")
    added = neighbour_features(features)
    around = []
    for side in SIDES:
        prefix = f"{side}_sum_"
        summed = [c.removeprefix(prefix) for f in added for c in f.columns(windows) if c.startswith(prefix)]
        around.append(engine.materialise(neighbour_table(base, snapshot["pairs"], summed, side)))
    columns["graph"] += [column for feature in added for column in feature.columns(windows)]
    table = _joined(engine, base, around, added, windows)
    return UserTable(table, {scope: tuple(names) for scope, names in columns.items()}, ties, tie_columns)


def _joined(
    engine: Engine,
    table: ir.Table,
    parts: Sequence[ir.Table],
    features: Sequence[Feature],
    windows: Mapping[str, object],
) -> ir.Table:
    """``table`` left joined with ``parts`` on user_id, in place of all of these; counts of users whom a part does not list
    are 0."""
    counts = {column for feature in features if feature.dtype == "int64" for column in feature.columns(windows)}
    for some in _groups(parts, CELLS_AT_ONCE // max(rows_in(table, engine), 1)):
        joined = engine.materialise(_left_joined(table, some, counts))
        engine.release(table, *some)
        table = joined
    return table


def _groups(parts: Sequence[ir.Table], most: int) -> Iterator[list[ir.Table]]:
    """``parts`` in their order, several together while they have at most ``most`` features."""
    group: list[ir.Table] = []
    for part in parts:
        if group and sum(len(one.columns) - 1 for one in [*group, part]) > most:
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def _left_joined(table: ir.Table, parts: Sequence[ir.Table], counts: Container[str]) -> ir.Table:
    # Keys of their own keep the joins in one chain; a projection after each would double the time to compile them.
    keyed = [part.rename({f"key_{number}": "user_id"}) for number, part in enumerate(parts)]
    joined = table
    for number, part in enumerate(keyed):
        joined = joined.left_join(part, table.user_id == part[f"key_{number}"])
    added = [column for part in parts for column in part.columns if column != "user_id"]
    return joined.select(
        *table.columns,
        **{c: joined[c].fill_null(0).cast("int64") if c in counts else joined[c].cast("float64") for c in added},
    )
