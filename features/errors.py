"""The errors that a person may see, as one small tree.

    KocError
    ├── DatasetError        the dataset file, or a source that it names, cannot be used
    ├── ValidationError     rows break the contract with severity ``error``
    ├── EngineError         an engine lacks what it needs, or does not start
    ├── LeakageError        something known later would reach a feature
    ├── ImmatureLabelError  a label window is not closed in the data
    ├── TrainingError       not enough dates, users or positives to learn from
    │   └── ReproductionError   a run cannot be trained again: data, packages or code differ
    ├── SettingsError       a file of training settings cannot be used
    ├── TrackingError       a run or a registered model cannot be found, read or written
    ├── BundleError         a model bundle is incomplete, altered or does not fit
    ├── ScoresError         a batch of scores is missing, half-written or altered
    │   ├── NoScoresError       no batch has been written yet
    │   └── LiveError           fresh scores cannot be made now
    ├── ListError           a candidate list cannot be made, found or worked as asked
    ├── AccessError         a key is unknown or spent
    │   └── ForbiddenError      a key is good, but may not do this
    ├── NotFoundError       what was asked for by name is not there
    ├── ConflictError       what was asked for is in a state that does not allow this
    │   └── PromotionError      a challenger may not take the champion's place
    ├── JobError            a job cannot be asked for like this
    └── StateError          the operations database cannot be opened, written or restored

Every message names the value met, the place and the remedy.
"""


class KocError(Exception):
    """Base of all errors that are shown without a traceback."""


class DatasetError(KocError):
    """The dataset file, or a source that it names, cannot be used."""


class ValidationError(KocError):
    """Rows break the data contract with severity ``error``."""


class EngineError(KocError):
    """An engine lacks what it needs, or does not start."""


class LeakageError(KocError):
    """Something that was known later would reach a feature."""


class ImmatureLabelError(KocError):
    """A label window is not closed in the data."""


class TrainingError(KocError):
    """Not enough dates, users or positives to learn from."""


class ReproductionError(TrainingError):
    """A run cannot be trained again: data, packages or code differ."""


class SettingsError(KocError):
    """A file of training settings cannot be used."""


class TrackingError(KocError):
    """A run or a registered model cannot be found, read or written."""


class BundleError(KocError):
    """A model bundle is incomplete, altered or does not fit the data."""


class ScoresError(KocError):
    """A batch of scores is missing, half-written or altered."""


class FilterError(ScoresError):
    """Scores are asked for a column or value that they do not have."""


class SpoiltScoresError(ScoresError):
    """A file of a batch is missing, or is not as it was written."""


class NoScoresError(ScoresError):
    """No batch has been written yet."""


class LiveError(ScoresError):
    """Fresh scores cannot be made now; ``retry_after``: seconds after which to ask again, where that helps."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ListError(KocError):
    """A candidate list cannot be made, found or worked as asked."""


class AccessError(KocError):
    """A key is unknown or spent."""


class ForbiddenError(AccessError):
    """A key is good, but may not do this."""


class NotFoundError(KocError):
    """What was asked for by name is not there."""


class ConflictError(KocError):
    """What was asked for is in a state that does not allow this."""


class PromotionError(ConflictError):
    """A challenger may not take the champion's place."""


class JobError(KocError):
    """A job cannot be asked for like this."""


class StateError(KocError):
    """The operations database cannot be opened, written or restored."""
