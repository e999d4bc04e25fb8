"""Builds the images of ``images/`` from Debian's own packages, for the tests and for whoever has no base at hand."""
