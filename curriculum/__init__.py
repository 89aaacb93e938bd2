"""Curriculum service: turns the learner's confidence reports into specs where the next gradient is largest."""
