"""Environment, supervision, configuration of whole runs, and the report."""
