"""The states of the four workflows."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

__all__ = ["ChangeState", "RolloutState", "ServiceState", "TrainState"]


class TrainState(BaseModel):
    """The state of ReleaseTrain: which services go out together."""

    train: str
    services: list[str] = Field(min_length=1)
    released: list[dict[str, Any]] = []


class ServiceState(BaseModel):
    """The state of ServiceRelease."""

    service: str
    version: str = ""
    digest: str = ""
    approved_by: str | None = None


class RolloutState(BaseModel):
    """The state of EnvironmentRollout: `digest` is that of the build."""

    environment: str
    service: str
    version: str
    digest: str
    files: int = 0
    replaces: str = "nothing"
    approved_by: str | None = None


class ChangeState(BaseModel):
    """The state of ChangeApproval."""

    service: str
    version: str
    replaces: str
    files: int
    approved: bool = False
    by: str = ""
