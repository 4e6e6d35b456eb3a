"""What a workflow author imports: processes, steps, effects and outcomes."""

__all__: list[str] = []
