"""What runs in a facility with rights of its own, and is called over HTTP."""
