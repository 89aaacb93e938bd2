#!/bin/sh
# One rank of the learner, as srun starts it: Slurm's numbers under the names that torch reads.
export RANK="$SLURM_PROCID" LOCAL_RANK="$SLURM_LOCALID" WORLD_SIZE="$SLURM_NTASKS"
exec "$@"
