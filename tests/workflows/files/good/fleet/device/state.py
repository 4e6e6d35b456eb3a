"""The state of a push."""

from pydantic import BaseModel


class Fleet(BaseModel):
    """Which devices there are."""

    device_ids: list[str] = []


class DeviceState(BaseModel):
    """How far a push has come."""

    fleet: Fleet = Fleet()
    keep_monitoring: bool = True


raise AssertionError("a check imports nothing")
