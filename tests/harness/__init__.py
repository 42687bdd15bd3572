"""What tests and benchmarks share: servers together, accounts, waiting, the core by itself."""
