"""A process for tests: says a line and waits, or ends with the status that it is given."""

import sys
import time

print("here I am", flush=True)  # noqa: T201
if sys.argv[1:]:
    sys.exit(int(sys.argv[1]))
time.sleep(600)
