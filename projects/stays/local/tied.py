"""Run a module in a process that is asked to end when the one that started it is killed.

    python -m local.tied MODULE ARGUMENT…

Only Linux can do this (PR_SET_PDEATHSIG in prctl(2)). Elsewhere the module just runs.
"""

import ctypes
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
