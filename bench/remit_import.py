"""The time of `import remit` in fresh interpreters, beside interpreters that import nothing.

By the clock, and in processor time, which other programs on the machine disturb less.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from measure import arguments, report

# `import remit` may load parts only when their names are asked for; this asks for what a first process needs.
USED = "from remit import Remit, call_process, process, step"


def seconds(code: str) -> tuple[float, float]:
    """Clock and processor time of one interpreter from its start to its end."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code])
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"python -c {code!r} ended with {process.returncode}")
    return elapsed, usage.ru_utime + usage.ru_stime


def main() -> None:
    options = arguments(__doc__, times=15)
    seconds(USED)  # the first one compiles
    rounds = [[seconds(code) for code in ("pass", "import remit", USED)] for _ in range(options.times)]
    bare, imported, used = (
        [statistics.median(column) for column in zip(*runs, strict=True)]
        for runs in zip(*rounds, strict=True)
    )
    report(
        import_s=imported[0] - bare[0],
        gross_s=imported[0],
        interpreter_s=bare[0],
        used_s=used[0] - bare[0],
        used_cpu_s=used[1] - bare[1],
    )


if __name__ == "__main__":
    main()
