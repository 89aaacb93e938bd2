"""Installation, supervision, configuration of complete runs, Slurm jobs and the report."""
