"""Measurements, each beside its peer in the same run. ``make bench`` runs all of them; figures of two runs are not compared."""
