"""Runs a command as the child of this small process and writes down what it took.

::

    python -I -S launch.py REPORT COMMAND ...

What a process held when it started another one counts towards the peak memory of that
(Linux keeps the maximum across exec), so that a small one has to start it.
"""

import os
import sys
import time

report, *command = sys.argv[1:]
begun = time.perf_counter()
child = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - begun
with open(report, "w", encoding="ascii") as file:
    file.write(f"{seconds} {usage.ru_maxrss * 1024}")
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
