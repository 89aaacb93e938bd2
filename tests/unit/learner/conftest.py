import learner  # noqa: F401  makes peft and transformers importable beside a CPU torch, whatever a test imports first
