"""Where a job may stand."""

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands; the last three are ends, and the last two of them may be tried again."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
