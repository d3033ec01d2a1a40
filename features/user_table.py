"""One row per user with every feature that the dataset allows: what models learn from and score."""

from collections import deque
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from features.blocks.all import ALL_BLOCKS
from features.blocks.block import Block, Feature, Scope
from features.blocks.neighbours import AGGREGATED, SIDES, neighbour_features, neighbour_table
from features.lookback import release_lookback, within_lookback
from features.snapshot import Snapshot
from features.tie_parts import EVERYBODY, Influencers, influencers_in_parts
from features.tie_table import ENDS, STRENGTHS, build_tie_table, tie_features


@dataclass(frozen=True)
class UserTable:
    """Features at one date, a part at a time: an engine holds all that it joins in memory, whatever it may spill.

    ``users``: (user_id), one row for each user with an act before ``as_of``. ``parts``: tables of user_id and some features,
    computed as they are asked for, each to be read before the next one and once. A part may list more people, and leaves out
    users of whom it knows nothing: their ``counts`` are 0, other features unknown. ``columns``: scope -> feature columns,
    ``own`` (the user's own history) and ``graph`` (the people around).
    ``ties``: the tie table that graph features are drawn from, see `features.tie_table`, in parts as well, by rising
    influencers, to be read before ``parts``; without rows where nobody is known to know anybody. ``tie_columns``: its
    feature columns. ``users`` is held until the caller releases it, what parts are made of until all of them are told.
    """

    users: ir.Table
    parts: Iterator[ir.Table]
    columns: Mapping[Scope, tuple[str, ...]]
    counts: frozenset[str]
    ties: Iterator[ir.Table]
    tie_columns: tuple[str, ...]


def build_user_table(snapshot: Snapshot, progress: Callable[[str], None] = lambda _: None) -> UserTable:
    """All available blocks of a prepared snapshot, for the users with an act before ``as_of``."""
    engine, windows = snapshot.engine, snapshot.windows
    acts = snapshot["acts"]
    users = engine.materialise(acts.group_by("user_id").agg(acts_seen=acts.count()).select("user_id"))
    lately = within_lookback(snapshot)
    blocks = [block for block in ALL_BLOCKS if block.available(lately)]
    own = [feature for block in blocks for feature in block.features]
    around = neighbour_features(own) if "pairs" in lately else ()
    by_scope: dict[Scope, list[str]] = {"own": [], "graph": []}
    for block in blocks:
        by_scope[block.scope] += block.columns(windows)
    by_scope["graph"] += _columns(around, windows)

    people = influencers_in_parts(lately["pairs" if "pairs" in lately else "ledger"], engine)
    strengths: list[ir.Table] = []

    def tie_parts() -> Iterator[ir.Table]:
        for some in people:
            progress("ties")
            part = build_tie_table(lately, some)
            strengths.append(engine.materialise(part.select(*ENDS, *(name for name in STRENGTHS if name in part.columns))))
            yield part
            engine.release(part)

    ties = tie_parts()

    def parts() -> Iterator[ir.Table]:
        # Of ties that nobody asked for, too.
        deque(ties, maxlen=0)
        tied = lately.with_tables(tie_table=strengths[0] if len(strengths) == 1 else ibis.union(*strengths))
        known = yield from _own_parts(tied, blocks, users, people, AGGREGATED if around else (), progress)
        engine.release(*strengths)
        release_lookback(lately, snapshot)
        if around:
            progress("neighbours")
            yield from _parts_around(lately, known, people, around)
        engine.release(known)

    return UserTable(
        users,
        parts(),
        {scope: tuple(names) for scope, names in by_scope.items()},
        frozenset(_columns((f for f in (*own, *around) if f.dtype == "int64"), windows)),
        ties,
        tuple(_columns(tie_features(lately), windows)),
    )


def _own_parts(
    snapshot: Snapshot,
    blocks: Sequence[Block],
    users: ir.Table,
    people: Sequence[Influencers],
    aggregated: Container[str],
    progress: Callable[[str], None],
) -> Generator[ir.Table, None, ir.Table]:
    """The part of each block, made of some ``people`` at a time where it reads ties -> ``users`` and those of their features
    that are ``aggregated`` over neighbours."""
    engine, windows = snapshot.engine, snapshot.windows
    kept: list[ir.Table] = []
    summed: list[str] = []
    for block in blocks:
        progress(block.name.replace("_", " "))
        told = _typed(block.build(snapshot), block.features, windows)
        part = engine.materialise(*(some.of(told, "user_id") for some in (people if "ties" in block.needs else [EVERYBODY])))
        yield part
        carried = _columns((feature for feature in block.features if feature.name in aggregated), windows)
        if carried:
            kept.append(part)
            summed += carried
        else:
            engine.release(part)
    known = engine.materialise(_joined(users, kept, summed))
    engine.release(*kept)
    return known


def _parts_around(
    snapshot: Snapshot, known: ir.Table, people: Sequence[Influencers], features: Sequence[Feature]
) -> Iterator[ir.Table]:
    """The part of each side of `neighbours`; known: user_id and the counts that are summed over neighbours."""
    engine, windows = snapshot.engine, snapshot.windows
    summed = [column for column in known.columns if column != "user_id"]
    for side in SIDES:
        mine = [feature for feature in features if feature.name.startswith(f"{side}_")]
        told = _typed(neighbour_table(known, snapshot["pairs"], summed, side), mine, windows)
        part = engine.materialise(*(some.of(told, "user_id") for some in people))
        yield part
        engine.release(part)


def _columns(features: Iterable[Feature], windows: Iterable[str]) -> list[str]:
    return [column for feature in features for column in feature.columns(windows)]


def _typed(part: ir.Table, features: Iterable[Feature], windows: Iterable[str]) -> ir.Table:
    """user_id and the features of ``part``, of their types; counts are 0 where it has null."""
    typed = {
        column: part[column].fill_null(0).cast("int64") if feature.dtype == "int64" else part[column].cast("float64")
        for feature in features
        for column in feature.columns(windows)
    }
    return part.select("user_id", **typed)


def _joined(users: ir.Table, parts: Sequence[ir.Table], counts: Sequence[str]) -> ir.Table:
    """``users`` with ``counts``, each of one of ``parts``; 0 for users whom it does not list."""
    joined = users
    for number, part in enumerate(parts):
        # Keys of their own keep the joins in one chain.
        keyed = part.rename({f"key_{number}": "user_id"})
        joined = joined.left_join(keyed, users.user_id == keyed[f"key_{number}"])
    return joined.select(users.user_id, **{column: joined[column].fill_null(0) for column in counts})
