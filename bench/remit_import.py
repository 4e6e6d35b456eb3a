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
    seconds("import remit")  # the first one compiles
    runs = [(*seconds("pass"), *seconds("import remit")) for _ in range(options.times)]
    bare, bare_cpu, gross, gross_cpu = (statistics.median(column) for column in zip(*runs, strict=True))
    report(import_s=gross - bare, import_cpu_s=gross_cpu - bare_cpu, gross_s=gross, interpreter_s=bare)


if __name__ == "__main__":
    main()
