"""The policy: a vision-language model, its adapters and checkpoints, and a forward pass that computes prompts once."""
