#!/usr/bin/env bash
# Create the environment and run the loop to its end, or resume it. The default configuration is configs/demo.toml.
#
#   launch/all.sh [CONFIG ...] [--name NAME] [--set table.key=value ...] [--serial] [--dry-run]
#
# Ctrl-C drains; the same command resumes. launch/env.sh lists the variables that choose the environment.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="$("$root/launch/env.sh")"
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m vantage run --runs "$root/runs" "$@"
