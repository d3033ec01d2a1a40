"""The champion: promoted through the checks or by a recorded override, rolled back one step, every change audited."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from features.errors import ConflictError, PromotionError
from serving.access.audit import Audit
from serving.access.principal import Principal, Scope
from serving.state.database import Database
from serving.store.score_store import ScoreStore
from training.promotion.history import Action, Change, champion_at, next_moment, previous

if TYPE_CHECKING:
    from features.tables import Tables
    from serving.store.manifest import Manifest
    from training.promotion.checks import Check, Rules
    from training.tracking import Tracker, Version


@dataclass(frozen=True)
class Moved:
    """A change, the champion before it, its checks (none of a rollback), and the batch that is served from now on; None
    where the new champion has scored nothing that is kept."""

    change: Change
    before: int
    checks: "Sequence[Check]"
    batch: "Manifest | None"


class Champions:
    """Who is served; ``store``: where a batch of the new champion is looked for."""

    def __init__(self, database: Database, tracker: "Tracker", store: ScoreStore) -> None:
        self.database = database
        self.tracker = tracker
        self.store = store

    def history(self) -> list[Change]:
        """Every change, the first one first."""
        return self.tracker.changes()

    def strayed(self) -> str | None:
        """What to say where the champion is another one than the last of the history; None where all is well."""
        changes, champion = self.history(), self.tracker.find("champion").version
        if changes and changes[-1].version != champion:
            return (
                f"koc/{champion} has the alias champion, though the history ends with koc/{changes[-1].version}: somebody "
                "moved it outside of koc; promote the version that shall be served with `koc promote`"
            )
        return None

    def at(self, moment: datetime) -> Change | None:
        """Who was champion at a moment (with a zone), and since when; None before the first."""
        return champion_at(self.history(), moment)

    def promote(
        self,
        principal: Principal,
        reference: str | int,
        rules: "Rules",
        *,
        override: str | None = None,
        checked: "Callable[[Version, Version], Sequence[Check]] | None" = None,
        now: datetime | None = None,
    ) -> Moved:
        """Make a version the champion if all checks pass; ``override``: the reason for doing so though some do not.

        ``checked``: challenger and champion -> checks; by default `recorded_checks`.

        Raises:
            ForbiddenError: the principal is no admin. ConflictError: it is the champion. TrackingError: no such version.
            PromotionError: names each check that failed; the refusal is audited.
        """
        principal.require(Scope.ADMIN)
        challenger, champion = self.tracker.find(reference), self.tracker.find("champion")
        if challenger.version == champion.version:
            raise ConflictError(f"koc/{champion.version} is the champion already; name another version")
        checks = checked(challenger, champion) if checked else recorded_checks(self.tracker, challenger, champion, rules)
        failed = tuple(check.told for check in checks if not check.passed)
        if failed and override is None:
            self._refused(principal, challenger.version, champion.version, failed, now)
            told = "".join(f"\n  {check}" for check in failed)
            raise PromotionError(
                f"koc/{challenger.version} does not replace koc/{champion.version}, {len(failed)} of {len(checks)} checks "
                f"failed:{told}\nTrain another challenger, allow a wider --margin where few people make intervals wide, or "
                "promote it with --override --reason TEXT"
            )
        why = override or f"passed {len(checks)} checks against koc/{champion.version}"
        return self._move(principal, challenger.version, "promote", why, champion.version, checks, failed, now)

    def rollback(self, principal: Principal, why: str, *, now: datetime | None = None) -> Moved:
        """Make the champion before the present one champion again.

        Raises:
            ForbiddenError: the principal is no admin. ConflictError: there is none before, or the history does not tell.
        """
        principal.require(Scope.ADMIN)
        if strayed := self.strayed():
            raise ConflictError(strayed)
        champion = self.tracker.find("champion").version
        return self._move(principal, previous(self.history()), "rollback", why, champion, (), (), now)

    def _move(
        self,
        principal: Principal,
        version: int,
        action: Action,
        why: str,
        before: int,
        checks: "Sequence[Check]",
        failed: tuple[str, ...],
        now: datetime | None,
    ) -> Moved:
        with self.database.alone("champion") as connection:
            if (found := self.tracker.find("champion").version) != before:
                raise ConflictError(f"koc/{found} became champion meanwhile; look at `koc models history` and ask again")
            at = next_moment(self.history(), now or datetime.now(UTC))
            change = Change(at, version, action, principal.name, why, failed)
            told = {
                "by": principal.name, "before": f"koc/{before}", "why": why,
                "checks": len(checks), "overridden": list(failed),
            }  # fmt: skip
            subject = f"koc/{version}"
            # Within the transaction: what is not audited does not happen.
            self._audit.write(
                principal, f"model.{action}", subject,
                model_version=subject, criteria=told, connection=connection, now=at,
            )  # fmt: skip
            self.tracker.crown(version, change)
        return Moved(change, before, checks, self.store.serve_model(f"koc/{version}"))

    def _refused(
        self, principal: Principal, version: int, champion: int, failed: Sequence[str], now: datetime | None
    ) -> None:
        told = {"by": principal.name, "before": f"koc/{champion}", "failed": list(failed)}
        subject = f"koc/{version}"
        self._audit.write(principal, "model.refuse", subject, model_version=subject, criteria=told, now=now)

    @property
    def _audit(self) -> Audit:
        return Audit(self.database)


def recorded_checks(tracker: "Tracker", challenger: "Version", champion: "Version", rules: "Rules") -> "list[Check]":
    """Checks on what both runs recorded on their test dates.

    Raises:
        TrackingError: a run has no record of it.
    """
    from training.judged import read_judged
    from training.promotion.checks import decide
    from training.recipe import read_recipe

    theirs, ours = (read_judged(tracker, version) for version in (champion, challenger))
    return decide(theirs, ours, recipe=read_recipe(tracker, challenger), rules=rules)


def later_checks(
    tracker: "Tracker",
    challenger: "Version",
    champion: "Version",
    tables: "Tables",
    rules: "Rules",
    progress: Callable[[str], None] = lambda _: None,
) -> "list[Check]":
    """Checks on what both bundles say of ``tables`` at dates after both were trained.

    Raises:
        PromotionError: no label window after both is closed. BundleError: a model does not fit the tables.
    """
    from serving.batch import load_bundle, require_same_features, require_same_settings
    from training.judged import judged_table
    from training.promotion.checks import decide
    from training.promotion.later import judged_later, later_dates
    from training.recipe import read_recipe
    from training.timeline import Timeline

    theirs, ours = (load_bundle(tracker, version.version) for version in (champion, challenger))
    timeline, recipe = Timeline(tables, progress), read_recipe(tracker, challenger)
    for bundle in (theirs, ours):
        require_same_settings(bundle, tables.dataset)
    dates = later_dates(timeline, max(theirs.as_of, ours.as_of))
    for bundle in (theirs, ours):
        require_same_features(bundle.hybrid, timeline.frame(dates[-1]))
    before, after = (judged_table(judged_later(bundle, timeline, dates)) for bundle in (theirs, ours))
    return decide(before, after, recipe=recipe, rules=rules)
