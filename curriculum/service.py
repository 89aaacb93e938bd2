"""The curriculum as a service on a socket."""

from __future__ import annotations

import threading

import msgspec

from curriculum.core import CurriculumCore, CurriculumMessage
from curriculum.settings import CurriculumSettings
from protocol.run.config import section
from protocol.run.directory import RunDir
from protocol.run.telemetry import Telemetry
from protocol.wire.endpoint import publish, serving_endpoint
from protocol.wire.messages import AddProposals, GetCurriculumStatus, GetProposalRequest, LeaseSpecs, SendReports
from protocol.wire.service import Handler, Request, Service

_BEAT_S = 5.0


def serve(run: RunDir, stop: threading.Event, bind: str = "") -> None:
    """Serve the curriculum of `run` until `stop` is set; `bind` is "tcp://HOST:PORT" for learners on other hosts.

    Raises VantageError if the run, its database or the address cannot be used.
    """
    settings = section(run.config, "curriculum", CurriculumSettings)
    with CurriculumCore(run, settings) as core:

        def answer(message: CurriculumMessage, request: Request) -> msgspec.Struct:
            return core.handle(message, request.durable_id)

        endpoint = serving_endpoint(run.path, "curriculum", bind)
        kinds: tuple[type[msgspec.Struct], ...] = (
            *(LeaseSpecs, SendReports, AddProposals, GetCurriculumStatus),
            GetProposalRequest,
        )
        handlers: dict[type[msgspec.Struct], Handler] = dict.fromkeys(kinds, answer)
        service = Service("curriculum", run.name, endpoint, handlers)
        with Telemetry("curriculum", settings.metrics_port) as telemetry:
            beat = threading.Thread(target=_beat, args=(core, telemetry, stop), name="telemetry-beat", daemon=True)
            beat.start()
            publish(run.path, "curriculum", service.endpoint)
            service.serve(stop)
            stop.set()
            beat.join()


def _beat(core: CurriculumCore, telemetry: Telemetry, stop: threading.Event) -> None:
    """Update /metrics periodically, also while no specs are requested."""
    while not stop.is_set():
        telemetry.update(core.counters, core.stalls.reports())
        stop.wait(_BEAT_S)
