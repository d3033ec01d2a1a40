"""Where the project and the shared data are."""

from pathlib import Path

REPO = Path(__file__).parents[1]
SHARED = REPO.parent / "shared" / "data"
