#!/bin/sh
# Start the learner's ranks on all nodes of this job: run the given command by srun, which ends all ranks when one ends.
# srun's helper ends a step whose srun was killed, but it may be killed too. Steps left over from an earlier start are
# therefore cancelled first, because the next srun would wait for their cores.
steps() { squeue --noheader --steps --jobs="$SLURM_JOB_ID" --format=%i | grep -E '\.[0-9]+$'; }
while left=$(steps); do
    scancel --signal=KILL $left
    sleep 1
done
exec srun --kill-on-bad-exit=1 sh "$(dirname "$0")/rank.sh" "$@"
