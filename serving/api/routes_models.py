"""The registered models."""

from datetime import UTC

from fastapi import APIRouter

from serving.api.problems import errors
from serving.api.schemas import Models, ModelVersion
from serving.api.security import Reader
from serving.api.services import Given

router = APIRouter(prefix="/v1/models", tags=["models"], responses=errors())


@router.get("", response_model=Models)
def models(services: Given, principal: Reader) -> Models:  # noqa: ARG001
    """Every registered version, the newest first, with aliases and metrics."""
    return Models(
        models=[
            ModelVersion(
                name=version.name,
                version=version.version,
                aliases=list(version.aliases),
                created=version.created.replace(tzinfo=UTC),
                run_id=version.run_id,
                metrics=dict(version.metrics),
            )
            for version in services.tracker.versions()
        ]
    )
