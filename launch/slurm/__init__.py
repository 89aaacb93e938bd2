"""A run on a Slurm cluster: the batch files that `python -m launch.slurm` renders and submits."""
