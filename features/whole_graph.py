"""PageRank and core numbers by iterated joins, for graphs that no single process holds: the same numbers as by igraph."""

import ibis
import ibis.expr.types as ir

from features.engine import Engine

DAMPING = 0.85


def iterated_pagerank(engine: Engine, arcs: ir.Table, tolerance: float = 1e-10, most: int = 200) -> ir.Table:
    """PageRank (Page et al. 1999) by power iteration, for `features.structure.structure_of` where it does not fit.

    Arcs lead from ``user_id`` to ``influencer_id``, distinct and between different people; who leads to nobody leads to
    everybody alike. Each iteration shrinks the distance to the result by ``DAMPING``, so that an answer whose last change
    was d is at most 6 d away, summed over all people.

    Args:
        arcs: (user_id, influencer_id).
        tolerance: iterate until ranks change by no more than this, summed over all people.
        most: iterations at most.

    Returns:
        user_id   string   everybody at an end of an arc; held until the caller releases the table
        pagerank  float64  > 0, adding up to 1
    """
    ends = ibis.union(arcs.select("user_id"), arcs.select(user_id="influencer_id"))
    people = engine.materialise(ends.group_by("user_id").agg(arcs=ends.count()).select("user_id"))
    counts = arcs.group_by("user_id").agg(share=1.0 / arcs.count())
    steps = engine.materialise(arcs.join(counts, "user_id").select("user_id", "influencer_id", "share"))
    size = int(_number(engine, people.count()))
    ranks = engine.materialise(people.mutate(pagerank=ibis.literal(1.0 / max(size, 1), "float64")))
    for _ in range(most if size else 0):
        moving = steps.join(ranks, "user_id")
        passed = moving.group_by(user_id="influencer_id").agg(mass=(moving.pagerank * moving.share).sum())
        gathered = engine.materialise(people.left_join(passed, "user_id").select("user_id", mass=passed.mass.fill_null(0.0)))
        # What does not arrive stood with people who lead to nobody.
        everywhere = (1 - DAMPING + DAMPING * (1 - _number(engine, gathered.mass.sum()))) / size
        after = engine.materialise(gathered.select("user_id", pagerank=DAMPING * gathered.mass + everywhere))
        both = after.join(ranks.select("user_id", before="pagerank"), "user_id")
        change = _number(engine, (both.pagerank - both.before).abs().sum())
        engine.release(gathered, ranks)
        ranks = after
        if change <= tolerance:
            break
    engine.release(people, steps)
    return ranks


def iterated_cores(engine: Engine, arcs: ir.Table) -> ir.Table:
    """Core numbers of the undirected graph: h-indices of h-indices, until nothing changes (Lü et al. 2016).

    Everybody starts with the number of neighbours and then takes the largest h such that h neighbours hold at least h.

    Args:
        arcs: (user_id, influencer_id) of different people; both directions of a pair are one edge.

    Returns:
        user_id  string  everybody at an end of an arc; held until the caller releases the table
        core     int64   >= 1
    """
    there = arcs.select("user_id", near="influencer_id")
    both = ibis.union(there, arcs.select(user_id="influencer_id", near="user_id"))
    edges = engine.materialise(both.group_by("user_id", "near").agg(arcs=both.count()).select("user_id", "near"))
    cores = engine.materialise(edges.group_by("user_id").agg(core=edges.count()))
    while True:
        held = edges.join(cores.select(near="user_id", core="core"), "near")
        falling = ibis.window(group_by="user_id", order_by=ibis.desc("core"))
        placed = held.mutate(place=ibis.row_number().over(falling))
        after = engine.materialise(placed.group_by("user_id").agg(core=placed.count(where=placed.core > placed.place)))
        moved = after.join(cores.select("user_id", before="core"), "user_id")
        changed = int(_number(engine, moved.count(where=moved.core != moved.before)))
        engine.release(cores)
        cores = after
        if not changed:
            engine.release(edges)
            return cores


def _number(engine: Engine, value: ir.Scalar) -> float:
    found = engine.to_arrow(value.name("value").as_table())["value"][0].as_py()
    return float(found or 0)
