#!/usr/bin/env bash
# Writes requirements/<set>.txt: the exact version and the hashes of every package that <set>.in needs. Needs uv.
#
#   launch/lock.sh [--upgrade | --upgrade-package NAME]
#
# A version that is already locked is kept unless an option says otherwise or a .in file excludes it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../requirements"

compile() { # SET SOURCE OPTION...
    uv pip compile --quiet --generate-hashes --no-annotate --python-platform x86_64-manylinux_2_28 \
        --custom-compile-command launch/lock.sh --no-emit-package torch --no-emit-package torchvision \
        --output-file "$1.txt" "$2.in" "${@:3}"
}

options=("$@")
compile sim sim --python-version 3.11 "${options[@]}"
compile sim-py39 sim --python-version 3.9 "${options[@]}"
compile learner-cpu learner-cpu --python-version 3.11 --excludes excluded.txt --constraints sim.txt "${options[@]}"
mapfile -t base < <(sed -En 's/^([a-z0-9-]+)==.*/--no-emit-package\n\1/p' learner-cpu.txt)
compile learner-cpu-vllm learner-cpu-vllm --python-version 3.11 --excludes excluded.txt --overrides torch.txt \
    --constraints learner-cpu.txt "${base[@]}" "${options[@]}"
compile learner-gpu learner-gpu --python-version 3.11 --constraints sim.txt "${options[@]}"
compile dev dev --python-version 3.11 --constraints sim.txt --constraints learner-cpu.txt "${options[@]}"
