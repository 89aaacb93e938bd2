"""The simulator service: backends, questions as programs, broker and workers."""
