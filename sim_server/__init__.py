"""The simulator server: backends, questions as programs, broker and workers."""
