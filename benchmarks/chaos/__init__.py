"""Campaigns against live runs: kills, storms, damaged files, workers that lie, floods of messages.

    python -m benchmarks.chaos kills [--count 200]        kill -9 of every process, the supervisor included, in one run
    python -m benchmarks.chaos storms                     stops, full disk, limits, locks, moved folders, double starts
    python -m benchmarks.chaos corruptions                every file of a run, damaged one by one
    python -m benchmarks.chaos liars                      workers that answer wrongly
    python -m benchmarks.chaos frames [--count 1000000]   mutated messages to each of the listening sockets
    python -m benchmarks.chaos flood                      a good client beside one that floods the service

Each checks its invariant and raises AssertionError if it does not hold: every report is counted once, every run ends
well or says in one sentence why not, and no process is left. Results are in benchmarks/results/chaos.json; tests/chaos
runs a short selection.
"""
