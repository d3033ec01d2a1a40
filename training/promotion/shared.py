"""On which dates the champion was judged, so that a challenger is judged on them too and the two can be compared."""

from datetime import datetime

from features.errors import TrackingError
from training.recipe import read_recipe
from training.tracking import CHAMPION, Tracker

MOST = 3
"""Of the champion's dates the last ones: without a limit each training would judge on more of them."""


def dates_of_champion(tracker: Tracker, dataset: str) -> list[datetime]:
    """The last test dates of the champion; none where nothing is registered, or it was trained on another dataset."""
    try:
        recipe = read_recipe(tracker, tracker.find(CHAMPION))
    except TrackingError:
        return []
    dates = recipe.test_dates if recipe.dataset["name"] == dataset else []
    return [datetime.fromisoformat(date) for date in dates][-MOST:]
