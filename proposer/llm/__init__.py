"""The source `llm`: questions from a language model behind an OpenAI-compatible endpoint.

endpoint.py   one call within limits of time, size, rate and budget
prompt.py     the messages to the model, and the form of its answer
source.py     answers -> drafts
"""
