"""Which of many cycles of one promise are run now.

CRASH_CYCLES: a number rotates that many by the day; "all" takes them all (when landing).
"""

import os
import time


def chosen(everything, default):
    wanted = os.environ.get("CRASH_CYCLES", str(default))
    if wanted == "all":
        return everything
    first = int(time.time() // 86400) * int(wanted)
    return [everything[(first + i) % len(everything)] for i in range(int(wanted))]


def seed():
    """Of the chances a cycle takes; another one by CRASH_SEED."""
    return os.environ.get("CRASH_SEED", "1")
