"""The wire, the run directory and the configuration base that every Vantage process shares.

Imports nothing of ours, no torch and no simulator; runs on Python 3.9.
"""

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0
