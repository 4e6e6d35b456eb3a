"""Drives executions: admits, replays, parks, wakes, ends and recovers them. It acts; the kernel decides; the store keeps."""

__all__: list[str] = []
