#!/usr/bin/env bash
# Makes the environment where it is absent and checks this repository: style, types, imports, tests.
#
#   launch/test.sh [PYTEST ARGUMENT ...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="$(launch/env.sh --vllm --dev)"
bin="$(dirname "$python")"
export PATH="$bin:$PATH" OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

ruff check .
ruff format --check --quiet . || echo "ruff format would change some files"
lint-imports --no-cache | tail -3
pyright --pythonpath "$python"
# Compile the simulator's kernels once, where they are not cached yet, and not in every test process under its time-out.
PYTHONPATH=. "$python" -c 'from sim_server.backends.rooms import RoomsBackend; RoomsBackend().warm()'
"$python" -m pytest -n "${VANTAGE_TEST_PROCESSES:-2}" "$@"
