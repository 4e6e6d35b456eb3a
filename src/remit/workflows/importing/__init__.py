"""What import paths in workflow files name: found in the source, imported once, from nowhere else."""

from __future__ import annotations

__all__: list[str] = []
