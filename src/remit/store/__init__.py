"""Where executions are kept: the port, its records, and the stores that fulfil it."""

__all__: list[str] = []
