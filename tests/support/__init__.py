"""What tests share: inputs, oracles, a naive reference, the real command line."""
