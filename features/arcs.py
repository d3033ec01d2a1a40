"""The ties of a snapshot as numbers: what algorithms read that need the whole graph at once."""

from contextlib import closing

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.engine import rows_in
from features.snapshot import Snapshot

AT_ONCE = 10_000_000

Arcs = NDArray[np.int64]
"""(E,) user -> influencer, by rising ids: the place of the user among N people x N + the place of the influencer."""


def arcs_of(snapshot: Snapshot) -> tuple[pa.Array, Arcs]:
    """(N,) ids of everybody with a tie, rising, and the distinct ties between them. Nothing depends on the order of rows."""
    engine, pairs = snapshot.engine, snapshot["pairs"]
    people = pairs.select(person="user_id").union(pairs.select(person="influencer_id"), distinct=True)
    names = engine.to_arrow(people.order_by("person"))
    places = engine.from_arrow(names.append_column("place", pa.array(np.arange(len(names)))))
    users, influencers = (places.rename({end: "person", f"{end}_place": "place"}) for end in ("user_id", "influencer_id"))
    numbered = pairs.join(users, "user_id").join(influencers, "influencer_id")
    arcs, start = np.empty(rows_in(pairs, engine), np.int64), 0
    told = numbered.select(arc=numbered.user_id_place * len(names) + numbered.influencer_id_place)
    with closing(engine.stream(told)) as parts:
        for rows in parts:
            arcs[start : (start := start + len(rows))] = rows["arc"]
    engine.release(places)
    arcs.sort()
    return names["person"].combine_chunks(), arcs


def ends_of(arcs: Arcs, people: int) -> NDArray[np.int64]:
    """(E, 2) places of the ends of each of ``arcs``."""
    return np.stack(np.divmod(arcs, max(people, 1)), axis=1)


def either_way(arcs: Arcs, people: int) -> tuple[Arcs, NDArray[np.int8]]:
    """Pairs of people with a tie, the earlier place first, rising, and whether one (1) or two (2) of ``arcs`` join each."""
    pairs = np.empty_like(arcs)
    for start in range(0, len(arcs), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        ends = ends_of(arcs[some], people)
        pairs[some] = ends.min(axis=1) * people + ends.max(axis=1)
    pairs.sort()
    first, again = np.ones(len(pairs), bool), np.zeros(len(pairs), np.int8)
    first[1:] = pairs[1:] != pairs[:-1]
    again[:-1] = ~first[1:]
    return pairs[first], 1 + again[first]
