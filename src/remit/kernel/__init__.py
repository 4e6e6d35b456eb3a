"""The pure rules: they decide, and never act. Standard library only; no I/O, clock, randomness or asyncio."""

__all__: list[str] = []
