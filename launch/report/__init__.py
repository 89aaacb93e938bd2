"""The report of a run, the live view and the records that both read."""
