"""A kind of job: its name, who may ask for it, what it is asked with, and the function that does it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from serving.jobs.jobs import Job
    from serving.settings import ServiceSettings
    from serving.state.database import Database


@dataclass(frozen=True)
class Work:
    """What the function of a kind is given: the job, where to work, and whom to tell how far it is.

    ``progress`` takes what comes next and the share that is done, in [0, 1], either None where it stays. It costs nothing
    and is to be called often, since a job can stop only here. ``last_chance`` is to be called right before what cannot be
    undone. Both raise a `serving.jobs.leases.Interruption` where the job was cancelled, its worker stops, or another
    worker has it now; ``progress`` hears of that half a second late, ``last_chance`` at once.
    """

    job: "Job"
    settings: "ServiceSettings"
    database: "Database"
    progress: Callable[[str | None, float | None], None]
    last_chance: Callable[[], None]


@dataclass(frozen=True)
class Kind:
    """One kind of job. ``run`` is a function at the top of a module, for a process of its own to find it.

    ``run`` returns what the job's result says, as JSON. It may be stopped at any point and called again with the same job:
    two calls have to leave what one leaves.
    """

    name: str
    scope: str
    arguments: type[BaseModel]
    run: Callable[[Work], Mapping[str, Any]]


def registry(kinds: Iterable[Kind]) -> dict[str, Kind]:
    """Kinds by name, as `serving.jobs.jobs.Jobs` and `serving.jobs.worker.Worker` take them."""
    return {kind.name: kind for kind in kinds}
