"""Operating executions: starting, looking, answering, cancelling, retrying."""

__all__: list[str] = []
