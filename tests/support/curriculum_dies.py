"""`python -m tests.support.curriculum_dies RUN COMMITS before|after`: serve and die by SIGKILL at a commit.

"after" is the critical moment: the event is committed, but the answer was not sent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from curriculum.record.store import Store
from curriculum.service import serve
from protocol.run.directory import RunDir


def main() -> None:
    run_dir, commits, moment = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    append = Store.append
    made = 0

    def append_and_die(self, events, time_s):
        nonlocal made
        made += 1
        if made == commits and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        last = append(self, events, time_s)
        if made == commits:
            os.kill(os.getpid(), signal.SIGKILL)
        return last

    Store.append = append_and_die
    serve(RunDir.open(Path(run_dir)), threading.Event())


if __name__ == "__main__":
    main()
