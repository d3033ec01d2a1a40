"""Iterated joins against igraph, and on graphs whose answer can be worked out by head."""

import igraph
import numpy as np
import pyarrow as pa
import pytest

from features.engine import DuckDB
from features.whole_graph import iterated_cores, iterated_pagerank

Arcs = list[tuple[str, str]]


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


def told(engine: DuckDB, arcs: Arcs, **options: float) -> tuple[dict[str, float], dict[str, int]]:
    users, influencers = zip(*arcs, strict=True) if arcs else ((), ())
    table = pa.table({"user_id": pa.array(users, pa.string()), "influencer_id": pa.array(influencers, pa.string())})
    given = engine.from_arrow(table)
    found = engine.to_arrow(iterated_pagerank(engine, given, **options)), engine.to_arrow(iterated_cores(engine, given))
    ranks, cores = (dict(zip(*(part.to_pylist() for part in rows.columns), strict=True)) for rows in found)
    return ranks, cores


def test_a_star_and_a_triangle(engine: DuckDB) -> None:
    ranks, cores = told(engine, [("a", "hub"), ("b", "hub"), ("x", "y"), ("y", "z"), ("z", "x"), ("x", "z")])
    assert cores == {"a": 1, "b": 1, "hub": 1, "x": 2, "y": 2, "z": 2}
    assert sum(ranks.values()) == pytest.approx(1)
    # Nobody leads to a or b, and both pass all they have on to the hub.
    assert ranks["a"] == ranks["b"]
    assert ranks["hub"] == pytest.approx(ranks["a"] + 0.85 * 2 * ranks["a"])


def test_no_arcs(engine: DuckDB) -> None:
    assert told(engine, []) == ({}, {})


@pytest.mark.parametrize("seed", range(2))
def test_random_graphs_as_by_igraph(engine: DuckDB, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = 60
    heavy = rng.pareto(1.2, size) + 0.1
    arcs = np.unique(rng.choice(size, (300, 2), p=heavy / heavy.sum()), axis=0)
    arcs = arcs[arcs[:, 0] != arcs[:, 1]]
    names, codes = np.unique(arcs, return_inverse=True)
    graph = igraph.Graph(n=len(names), edges=codes.reshape(-1, 2), directed=True)
    ranks, cores = told(engine, [(str(a), str(b)) for a, b in arcs])
    assert [ranks[str(name)] for name in names] == pytest.approx(graph.pagerank(damping=0.85), rel=1e-7)
    assert [cores[str(name)] for name in names] == graph.as_undirected(mode="collapse").coreness()


def test_the_last_change_bounds_the_error(engine: DuckDB) -> None:
    arcs = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]
    exact, near = told(engine, arcs)[0], told(engine, arcs, tolerance=0.02)[0]
    assert 1e-6 < sum(abs(exact[name] - near[name]) for name in exact) <= 6 * 0.02
