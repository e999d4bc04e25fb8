"""What the suites share: rules of the whole suite, secrets that must not be printed, golden files."""
