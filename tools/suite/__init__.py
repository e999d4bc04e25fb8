"""Runs the checks and tests in stages: what is fast first, what takes long beside it, times printed, nothing left behind."""
