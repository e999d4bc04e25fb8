"""Builds the documentation: the pages that are generated from the code, then Sphinx with warnings as errors."""
