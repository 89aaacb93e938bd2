"""Short runs of benchmarks/chaos.py: mutated messages to every listening socket of real processes."""

from __future__ import annotations

import pytest

from benchmarks.chaos.frames import SOCKETS, attack

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("socket", SOCKETS)
def test_a_service_survives_mutated_messages_and_answers_other_clients(socket):
    figures = attack(socket, 6000, seed=7)
    assert figures["connections_of_the_good_client"] == 1
    assert figures["refusals_and_answers_read"] > 100
