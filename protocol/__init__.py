"""What every Vantage process shares: the wire, the run directory, tasks, the skill catalogue, prompts and scoring.

Imports no other package of this project, no torch and no simulator; runs on Python 3.9.
"""

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0
