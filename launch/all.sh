#!/usr/bin/env bash
# Makes the environment and runs the loop to its end, or resumes it. The default configuration is configs/demo.toml.
#
#   launch/all.sh [CONFIG.toml ...] [--name NAME] [--set table.key=value ...] [--serial] [--dry-run]
#
# Ctrl-C drains; the same command resumes. launch/env.sh lists the variables that choose the environment.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="$("$here/env.sh")"
export PYTHONPATH="$here/..${PYTHONPATH:+:$PYTHONPATH}"
exec "$python" -m launch.supervise "$@"
