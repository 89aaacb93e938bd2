"""The source `llm`: questions from a language model behind an OpenAI-compatible endpoint.

endpoint.py   one call within limits of time, size, rate and budget
prompt.py     what the model is told, and the JSON schema of its answer
source.py     answers -> drafts
"""
