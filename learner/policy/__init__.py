"""The policy: a vision-language model, how it is asked, and a forward pass that encodes each prompt once."""
