#!/usr/bin/env bash
# Create the environment, or complete it, and print its Python. Takes well under a second once it is complete.
#
#   launch/env.sh [--vllm] [--dev]     --vllm adds the vLLM engine, --dev the tools that check this repository
#
#   VANTAGE_VENV         folder of the environment (default: .venv in this repository)
#   VANTAGE_PYTHON       the Python to create it with (default: the first of 3.11 or newer on PATH)
#   VANTAGE_DEVICE       cpu or cuda (default: cuda if nvidia-smi lists a GPU)
#   VANTAGE_TORCH_INDEX  the package index for torch and torchvision, instead of pip's own
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

find_python() {
    local candidate
    for candidate in ${VANTAGE_PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "vantage: found no Python 3.11 or newer; install one (apt-get install python3.11 python3.11-venv), or name it in VANTAGE_PYTHON." >&2
    exit 1
}

python="$(find_python)"
exec "$python" -I "$here/install.py" "$@"
