"""A service process with a durable effect: `python -m tests.support.wire_service ADDRESS EFFECTS [OPTIONS]`.

Each LEASE request appends its id to the EFFECTS file once, also across restarts, and is answered. With --die-after N
the process kills itself between the N-th effect and its answer. With --reply-bytes each answer has this size.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path

from protocol.wire.endpoint import Endpoint
from protocol.wire.messages import LeaseSpecs, SpecBatch
from protocol.wire.service import Request, Service


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("effects", type=Path)
    parser.add_argument("--die-after", type=int, default=-1)
    parser.add_argument("--reply-bytes", type=int, default=0)
    arguments = parser.parse_args()

    known = set(arguments.effects.read_text().split()) if arguments.effects.exists() else set()
    made = 0

    def lease(message: LeaseSpecs, request: Request) -> SpecBatch:
        nonlocal made
        name = f"{request.request_id.hex()}:{message.count}"
        if name in known:
            return SpecBatch((), "known")
        known.add(name)
        with arguments.effects.open("a") as file:
            file.write(name + "\n")
        made += 1
        if made == arguments.die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        return SpecBatch((), "new" + "x" * arguments.reply_bytes)

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    service = Service("curriculum", "test", Endpoint(arguments.address), {LeaseSpecs: lease})
    print("up", flush=True)
    service.serve(stop)


if __name__ == "__main__":
    main()
