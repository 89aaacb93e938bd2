import learner  # noqa: F401  prepares the import of peft and transformers beside a CPU torch
