#!/bin/sh
# One rank of the learner, started by srun: exports Slurm's numbers under the names that torch reads.
export RANK="$SLURM_PROCID" LOCAL_RANK="$SLURM_LOCALID" WORLD_SIZE="$SLURM_NTASKS"
exec "$@"
