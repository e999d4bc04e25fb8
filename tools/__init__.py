"""What builds, tests and measures the project. Nothing of it is imported by ``afkit``, and nothing of it is installed."""
