"""`python -m remit.cli`."""

from __future__ import annotations

from remit.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
