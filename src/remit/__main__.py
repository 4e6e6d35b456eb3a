"""`python -m remit`: the `remit` command, where the script is not on the path."""

from __future__ import annotations

from remit.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
