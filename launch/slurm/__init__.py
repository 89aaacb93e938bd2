"""Runs on a Slurm cluster: batch files rendered from templates and submitted with sbatch."""
