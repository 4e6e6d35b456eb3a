"""The time of `import remit` in fresh interpreters, beside interpreters that import nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from measure import arguments, report


def seconds(code: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def main() -> None:
    options = arguments(__doc__, times=15)
    seconds("import remit")  # the first one compiles
    pairs = [(seconds("pass"), seconds("import remit")) for _ in range(options.times)]
    bare, gross = (statistics.median(column) for column in zip(*pairs, strict=True))
    report(import_s=gross - bare, gross_s=gross, interpreter_s=bare)


if __name__ == "__main__":
    main()
