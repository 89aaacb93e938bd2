"""The dispatcher: credit, affinity, bounds, re-dispatch and quarantine, without sockets or sleeps."""

from __future__ import annotations

from typing import Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_server.service.dispatch import LOOK_AHEAD, MAX_PASSES, Dispatcher
from sim_server.service.jobs import Job, Limits, Needs, WorkerState


def worker(key: str, credit: int = 1, now_s: float = 0.0, **fields) -> WorkerState:
    fields = {
        "assets": frozenset(),
        "sensors": frozenset({"rgb", "depth", "ids"}),
        "skills": frozenset(),
        "warm_limit": 4,
        **fields,
    }
    return WorkerState(key.encode(), f"w-{key}", "toy", "toy-1", credit, heard_s=now_s, **fields)


def job(name: str, scene: str = "", now_s: float = 0.0, needs: Optional[Needs] = None, content: str = "") -> Job:
    return Job(name.encode(), b"client", (content or name).encode(), scene, needs or Needs(), None, now_s)


def names(pairs) -> list[tuple[str, str]]:
    return [(worker.key.decode(), job.job_id.decode()) for worker, job in pairs]


def dispatcher(*workers: WorkerState, **limits) -> Dispatcher:
    made = Dispatcher(Limits(**limits))
    for one in workers:
        made.join(one)
    return made


class TestUrgent:
    def test_urgent_requests_precede_prefetched_ones(self):
        d = dispatcher(worker("a"))
        for index in range(3):
            d.submit(job(f"ahead{index}", "warm"))
        assert names(d.assign(0.0)) == [("a", "ahead0")]
        for name in ("look0", "look1"):
            one = job(name, "cold")
            one.urgent = True
            d.submit(one)
        order = []
        for last in ("ahead0", "look0", "look1", "ahead1"):
            d.finish(b"a", last.encode(), 0.1)
            order += [name for _, name in names(d.assign(0.1))]
        assert order == ["look0", "look1", "ahead1", "ahead2"]


class TestCredit:
    def test_a_worker_never_holds_more_than_its_credit(self):
        d = dispatcher(worker("a", credit=2))
        for index in range(5):
            d.submit(job(f"j{index}"))
        assert names(d.assign(0.0)) == [("a", "j0"), ("a", "j1")]
        assert d.assign(0.0) == []
        d.finish(b"a", b"j0", 0.1)
        assert names(d.assign(0.1)) == [("a", "j2")]

    def test_jobs_are_spread_over_workers_before_a_second_credit_is_used(self):
        d = dispatcher(worker("a", credit=2), worker("b", credit=2))
        d.submit(job("j0"))
        d.submit(job("j1"))
        assert {pair[0] for pair in names(d.assign(0.0))} == {"a", "b"}

    def test_a_draining_worker_gets_no_new_jobs(self):
        d = dispatcher(worker("a", credit=2), worker("b"))
        d.submit(job("j0", "s"))
        assert names(d.assign(0.0)) == [("a", "j0")]
        d.drain(b"a")
        d.submit(job("j1", "s"))
        assert names(d.assign(0.0)) == [("b", "j1")]

    def test_a_scene_that_ends_workers_is_refused_for_every_request(self):
        d = dispatcher(worker("a", credit=3), deaths_to_quarantine=2, queue_bound=8)
        for name, scene in (("j0", "deadly"), ("j1", "deadly"), ("j2", "good")):
            d.submit(job(name, scene))
        d.assign(0.0)
        assert d.lose(b"a") == []
        d.join(worker("b", credit=1))
        d.assign(0.1)
        assert [one.job_id for one in d.lose(b"b")] == [b"j0", b"j1"]
        assert [one.job_id for one in d.queue] == [b"j2"]
        assert not d.submit(job("j3", "deadly"))
        assert d.submit(job("j4", "good"))

    def test_one_deadly_request_about_a_scene_that_works_costs_only_itself(self):
        d = dispatcher(worker("a"), deaths_to_quarantine=1)
        d.submit(job("j0", "s"))
        d.assign(0.0)
        d.finish(b"a", b"j0", 0.1)
        d.submit(job("j1", "s"))
        d.assign(0.2)
        assert [one.job_id for one in d.lose(b"a")] == [b"j1"]
        assert not d.submit(job("j1", "s"))
        assert d.submit(job("j2", "s"))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.sampled_from(["submit", "assign", "finish", "lose", "join"]), max_size=60), st.data())
    def test_every_request_is_answered_exactly_once(self, steps, data):
        d = dispatcher(deaths_to_quarantine=3, queue_bound=8)
        accepted, answered = set(), []
        for number, step in enumerate(steps):
            busy = [w for w in d.workers.values() if w.in_flight]
            if step == "submit" and d.has_room("") and d.submit(job(f"j{number}", f"s{number % 3}")):
                accepted.add(f"j{number}".encode())
            elif step == "assign":
                d.assign(float(number))
            elif step == "join":
                d.join(worker(f"w{number}", credit=data.draw(st.integers(1, 3))))
            elif step == "finish" and busy:
                one = data.draw(st.sampled_from(busy))
                done = d.finish(one.key, next(iter(one.in_flight)), float(number))
                answered += [done.job_id] if done else []
            elif step == "lose" and d.workers:
                lost = d.lose(data.draw(st.sampled_from(sorted(d.workers))))
                answered += [poisoned.job_id for poisoned in lost]
            assert all(len(w.in_flight) <= w.credit for w in d.workers.values())
        assert len(answered) == len(set(answered))
        assert accepted == set(answered) | set(d.jobs)
        in_flight = {rid for w in d.workers.values() for rid in w.in_flight}
        assert set(d.jobs) == {waiting.job_id for waiting in d.queue} | in_flight


class TestAffinity:
    def test_a_request_goes_to_a_worker_with_its_scene_open(self):
        d = dispatcher(worker("a"), worker("b"))
        for name, scene in (("j0", "s0"), ("j1", "s1")):
            d.submit(job(name, scene))
        first = {request: key for key, request in names(d.assign(0.0))}
        for name in ("j0", "j1"):
            d.finish(first[name].encode(), name.encode(), 0.1)
        d.submit(job("j2", "s1"))
        d.submit(job("j3", "s0"))
        second = {request: key for key, request in names(d.assign(0.1))}
        assert (second["j2"], second["j3"]) == (first["j1"], first["j0"])

    def test_it_waits_for_a_busy_warm_worker_for_a_limited_time(self):
        d = dispatcher(worker("a"), affinity_wait_s=0.25)
        d.submit(job("j0", "s0"))
        d.assign(0.0)
        d.join(worker("b"))
        d.submit(job("j1", "s0", now_s=0.0))
        assert d.assign(0.1) == []
        assert names(d.assign(0.3)) == [("b", "j1")]

    def test_warm_scenes_mirror_the_cache_of_the_worker(self):
        d = dispatcher(worker("a", warm_limit=2))
        for index in range(3):
            d.submit(job(f"j{index}", f"s{index}"))
            d.assign(0.0)
            d.finish(b"a", f"j{index}".encode(), 0.0)
        assert list(d.workers[b"a"].warm) == ["s1", "s2"]

    def test_a_cold_request_is_overtaken_a_bounded_number_of_times(self):
        d = dispatcher(worker("a"), queue_bound=1000)
        d.submit(job("warm", "s0"))
        d.assign(0.0)
        d.submit(job("cold", "s9"))
        order = []
        for index in range(MAX_PASSES + 5):
            d.submit(job(f"j{index}", "s0"))
        previous = b"warm"
        for _ in range(MAX_PASSES + 1):
            d.finish(b"a", previous, 0.0)
            ((_, taken),) = d.assign(0.0)
            previous = taken.job_id
            order.append(previous)
        assert order.index(b"cold") == MAX_PASSES

    def test_requests_beyond_the_look_ahead_are_served_too(self):
        d = dispatcher(worker("a"), queue_bound=1000)
        for index in range(LOOK_AHEAD * 2):
            d.submit(job(f"j{index}", f"s{index}"))
        done = 0
        while pairs := d.assign(0.0):
            d.finish(b"a", pairs[0][1].job_id, 0.0)
            done += 1
        assert done == LOOK_AHEAD * 2


class TestNeeds:
    def test_a_request_for_an_asset_goes_to_a_worker_that_has_it(self):
        d = dispatcher(worker("rooms"), worker("habitat", assets=frozenset({"apt_0"})))
        d.submit(job("j0", needs=Needs(asset="apt_0")))
        assert names(d.assign(0.0)) == [("habitat", "j0")]

    def test_a_request_goes_to_a_worker_of_its_backend(self):
        other = worker("other", credit=4)
        other.backend = "habitat"
        d = dispatcher(worker("toy", credit=4), other)
        for name, backend in (("j0", "habitat"), ("j1", "toy"), ("j2", "")):
            d.submit(job(name, needs=Needs(backend=backend)))
        given = {name: key for key, name in names(d.assign(0.0))}
        assert (given["j0"], given["j1"]) == ("other", "toy") and len(given) == 3

    def test_requests_wait_for_a_backend_that_leaves_and_fail_if_it_does_not_return(self):
        first, second = worker("a"), worker("b")
        first.backend = "habitat"
        d = dispatcher(first, second, unsupported_after_s=5.0)
        for name in ("j0", "j1"):
            d.submit(job(name, needs=Needs(backend="habitat")))
        assert names(d.assign(0.0)) == [("a", "j0")]
        assert d.unsupported(99.0) == []  # j1 waits for the busy worker
        d.lose(b"a", blame=False)
        assert d.unsupported(100.0) == d.unsupported(103.0) == []
        assert not d.has_backend("habitat")
        assert {one.job_id for one in d.unsupported(106.0)} == {b"j0", b"j1"}

    def test_unsupported_requests_do_not_block_the_queue_and_fail_eventually(self):
        d = dispatcher(worker("a", sensors=frozenset({"rgb"})), unsupported_after_s=5.0)
        d.submit(job("deep", needs=Needs(sensors=frozenset({"depth"}))))
        d.submit(job("flat", needs=Needs(sensors=frozenset({"rgb"}))))
        assert names(d.assign(0.0)) == [("a", "flat")]
        assert d.unsupported(4.0) == []
        assert [hopeless.job_id for hopeless in d.unsupported(6.0)] == [b"deep"]
        assert b"deep" not in d.jobs

    def test_requests_wait_while_there_are_no_workers(self):
        d = dispatcher(unsupported_after_s=5.0)
        d.submit(job("j0"))
        assert d.unsupported(100.0) == []


class TestAdmission:
    def test_the_queue_is_bounded(self):
        d = dispatcher(queue_bound=2)
        room = []
        for index in range(3):
            room.append(d.has_room(""))
            d.submit(job(f"j{index}"))
        assert room == [True, True, False]
        assert 0.05 <= d.retry_after_s <= 5.0


class TestDeaths:
    def test_jobs_of_a_dead_worker_are_reassigned_before_younger_ones(self):
        d = dispatcher(worker("a", credit=2))
        for index in range(3):
            d.submit(job(f"j{index}"))
        d.assign(0.0)
        assert d.lose(b"a") == []
        d.join(worker("b", credit=3))
        assert names(d.assign(0.0)) == [("b", "j0"), ("b", "j1"), ("b", "j2")]
        assert d.counters.redispatched == 2

    def test_only_the_job_in_progress_is_blamed(self):
        d = dispatcher(worker("a", credit=2))
        d.submit(job("j0"))
        d.submit(job("j1"))
        d.assign(0.0)
        d.lose(b"a")
        assert (d.jobs[b"j0"].deaths, d.jobs[b"j1"].deaths) == (1, 0)

    def test_a_worker_that_leaves_blames_no_job(self):
        d = dispatcher(worker("a"))
        d.submit(job("j0"))
        d.assign(0.0)
        d.lose(b"a", blame=False)
        assert d.jobs[b"j0"].deaths == 0

    def test_a_request_that_kills_three_workers_is_quarantined_under_any_id(self):
        d = dispatcher(deaths_to_quarantine=3)
        d.submit(job("bad", content="same question"))
        poisoned: list[Job] = []
        for death in range(3):
            key = f"w{death}"
            d.join(worker(key))
            assert names(d.assign(0.0)) == [(key, "bad")]
            poisoned = d.lose(key.encode())
        assert [p.job_id for p in poisoned] == [b"bad"]
        assert d.jobs == {} and d.queue == []
        assert not d.submit(job("again", content="same question"))
        assert d.submit(job("good"))

    def test_a_death_is_removed_when_the_worker_comes_back(self):
        d = dispatcher(worker("a"))
        d.submit(job("j0"))
        d.assign(0.0)
        d.lose(b"a")
        d.forgive(b"j0")
        d.forgive(b"unknown")
        assert d.jobs[b"j0"].deaths == 0

    def test_the_answer_of_a_worker_that_seemed_dead_counts_once(self):
        d = dispatcher(worker("a"))
        d.submit(job("j0"))
        d.assign(0.0)
        d.lose(b"a")
        d.join(worker("b"))
        d.assign(0.0)
        assert d.finish(b"a", b"j0", 1.0) is not None
        assert d.finish(b"b", b"j0", 1.1) is None
        assert d.workers[b"b"].free == 1
        assert d.counters.served == 1

    def test_silent_workers_are_detected_unless_they_announced_a_slow_load(self):
        d = dispatcher(worker("a"), worker("b"))
        d.loading(b"b", 60.0, 0.0)
        d.heard(b"a", 1.0)
        assert d.silent(2.5, 3.0) == []
        assert d.silent(2.5, 3.6) == [b"a"]
        assert d.silent(2.5, 61.0) == [b"a", b"b"]

    def test_signs_of_life_of_unknown_workers_are_ignored(self):
        assert dispatcher().heard(b"ghost", 0.0) is False


@pytest.mark.parametrize("infeasible", [True, False])
def test_infeasible_answers_are_counted_separately(infeasible):
    d = dispatcher(worker("a"))
    d.submit(job("j0"))
    d.assign(0.0)
    d.finish(b"a", b"j0", 0.0, infeasible)
    assert d.counters.infeasible == infeasible


class TestFairShare:
    def client_job(self, client: str, number: int, urgent: bool = False) -> Job:
        one = job(f"{client}{number}")
        one.client, one.urgent = client, urgent
        return one

    def test_a_greedy_client_does_not_delay_another(self):
        """Its urgent requests come first among its own requests, and take turns with those of others."""
        d = dispatcher(worker("a"), queue_bound=1000)
        for index in range(400):
            d.submit(self.client_job("greedy", index, urgent=True))
        for index in range(3):
            d.submit(self.client_job("modest", index))
        order = []
        for _ in range(8):
            ((_, name),) = names(d.assign(0.0))
            order.append(name)
            d.finish(b"a", name.encode(), 0.0)
        assert [name for name in order if name.startswith("modest")] == ["modest0", "modest1", "modest2"]
        assert max(order.index(f"modest{index}") for index in range(3)) <= 6

    def test_a_client_that_returns_has_no_turns_saved_up(self):
        d = dispatcher(worker("a"), queue_bound=1000)
        for index in range(100):
            d.submit(self.client_job("busy", index))
        for index in range(50):
            d.assign(0.0)
            d.finish(b"a", b"busy%d" % index, 0.0)
        for index in range(10):
            d.submit(self.client_job("late", index))
        order = []
        for _ in range(6):
            ((_, name),) = names(d.assign(0.0))
            order.append(name[:4])
            d.finish(b"a", name.encode(), 0.0)
        assert order.count("busy") == order.count("late") == 3

    def test_a_full_queue_admits_a_client_with_less_than_its_share(self):
        d = dispatcher(queue_bound=8)
        for index in range(8):
            d.submit(self.client_job("greedy", index))
        assert not d.has_room("greedy")
        for index in range(4):
            assert d.has_room("modest")
            d.submit(self.client_job("modest", index))
        assert not d.has_room("modest")


class TestDeadlines:
    def busy(self, d: Dispatcher, seconds: float, megapixels: float = 0.01, count: int = 1) -> None:
        for index in range(count):
            one = job(f"m{index}-{seconds}")
            one.kind, one.megapixels = "RENDER_TASK", megapixels
            d.submit(one)
            d.assign(0.0)
            d.finish(b"a", one.job_id, seconds)

    def late(self, d: Dispatcher, megapixels: float) -> float:
        """The first whole second at which a request of this size is late."""
        one = job("late")
        one.kind, one.megapixels = "RENDER_TASK", megapixels
        d.submit(one)
        d.assign(0.0)
        return next(second for second in range(1, 10_000) if d.overdue(float(second)))

    def test_a_deadline_follows_from_what_requests_cost(self):
        d = dispatcher(worker("a"), request_floor_s=10.0, request_timeout_s=3600.0)
        self.busy(d, 1.0)
        assert self.late(d, 0.01) == 31  # 10 s and 20 times 1 s

    def test_larger_images_have_more_time_up_to_the_timeout(self):
        for timeout_s, expected in ((3600.0, 211), (100.0, 101)):
            d = dispatcher(worker("a"), request_floor_s=10.0, request_timeout_s=timeout_s)
            self.busy(d, 1.0)
            assert self.late(d, 0.1) == expected

    def test_the_first_request_of_a_kind_has_more_time(self):
        assert self.late(dispatcher(worker("a"), request_floor_s=10.0), 0.01) == 41

    def test_a_load_does_not_count_as_long_as_it_was_announced(self):
        d = dispatcher(worker("a"), request_floor_s=10.0)
        d.submit(job("j"))
        d.assign(0.0)
        d.loading(b"a", 100.0, 0.0)
        assert not d.overdue(99.0) and not d.overdue(139.0)
        d.loading(b"a", 0.0, 100.0)
        assert not d.overdue(139.0) and d.overdue(141.0)

    def test_a_load_ends_at_its_deadline_even_if_the_worker_does_not_say_so(self):
        d = dispatcher(worker("a"), request_floor_s=10.0)
        d.submit(job("j"))
        d.assign(0.0)
        d.loading(b"a", 100.0, 0.0)
        assert not d.overdue(140.0) and d.overdue(141.0)

    def test_later_loads_have_the_time_that_loads_take(self):
        d = dispatcher(worker("a"), request_floor_s=10.0)
        d.loading(b"a", 120.0, 0.0)
        d.loading(b"a", 0.0, 1.0)
        d.loading(b"a", 120.0, 2.0)
        assert d.workers[b"a"].loading_until_s == 2.0 + 10.0 + 20.0

    def test_the_time_begins_when_the_request_is_next(self):
        d = dispatcher(worker("a", credit=2), request_floor_s=10.0)
        d.submit(job("first"))
        d.submit(job("second"))
        d.assign(0.0)
        d.finish(b"a", b"first", 39.0)
        assert not d.overdue(78.0)

    def test_a_pause_of_this_process_does_not_count(self):
        d = dispatcher(worker("a"), request_floor_s=10.0)
        d.submit(job("j"))
        d.assign(0.0)
        d.pause(500.0)
        assert not d.overdue(530.0) and not d.silent(2.5, 502.0)
        assert d.overdue(541.0)
