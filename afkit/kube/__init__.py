"""The Kubernetes API as afkit uses it: a thin client of plain data, shared watches, what exists now, and why a pod does not start."""
