#!/usr/bin/env bash
# Create the environment if it is missing, and check this repository: style, import contracts, types, documentation, tests.
#
#   launch/test.sh [PYTEST ARGUMENT ...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="$(launch/env.sh --vllm --dev)"
bin="$(dirname "$python")"
export PATH="$bin:$PATH" OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

ruff check .
ruff format --check .
lint-imports --no-cache
pyright --pythonpath "$python"
site="$(mktemp -d)"
trap 'rm -rf "$site"' EXIT
"$python" -m sphinx -W -q -b html docs "$site"
# Compile the simulator's kernels once, if they are not cached, instead of in every test process under its time limit.
PYTHONPATH=. "$python" -c 'from sim_server.backends.rooms import RoomsBackend; RoomsBackend().warm()'
"$python" -m pytest -n "${VANTAGE_TEST_PROCESSES:-2}" "$@"
