"""`python -m remit.testing export STORE ID [FILE]`: the history of an execution, for `remit.testing.replay`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from remit import RemitError
from remit.testing.history import export_history

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Write or print a history; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m remit.testing", description=__doc__)
    export = parser.add_subparsers(required=True).add_parser("export", help="write an execution's history as JSON")
    export.add_argument("store", help="its URL, such as sqlite:///orders.db; another process may be driving it")
    export.add_argument("id", help="the execution; what it called comes with it")
    export.add_argument("file", nargs="?", help="where to write it; printed where there is none")
    export.add_argument("--with-secrets", action="store_true", help="do not redact secrets")
    asked = parser.parse_args(arguments)
    try:
        history = asyncio.run(export_history(asked.store, asked.id, asked.file, redacted=not asked.with_secrets))
    except (RemitError, OSError) as error:
        print(f"remit: {error}", file=sys.stderr)  # noqa: T201  # its work is to print
        return 2
    if asked.file is None:
        print(json.dumps(history, indent=1, ensure_ascii=False))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
