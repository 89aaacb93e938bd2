#!/bin/sh
# Start the learner's ranks on all nodes of this job: the command that is given, by srun, which ends all when one ends.
# srun's own helper ends a step whose srun was killed; it may be killed with it, so what it left is ended here, since the
# next srun would wait for its cores.
steps() { squeue --noheader --steps --jobs="$SLURM_JOB_ID" --format=%i | grep -E '\.[0-9]+$'; }
while left=$(steps); do
    scancel --signal=KILL $left
    sleep 1
done
exec srun --kill-on-bad-exit=1 "$(dirname "$0")/rank.sh" "$@"
