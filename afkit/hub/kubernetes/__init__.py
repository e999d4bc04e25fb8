"""Servers as pods: `AfkitKubeSpawner` on KubeSpawner, with the facility's own watch, waits, namespaces and secrets.

Nothing else of afkit's hub knows Kubernetes. A start goes namespace (`provisioner`), objects (`making`), waiting (`waiting`);
what the hub's own configuration says of pods is rendered once and shared by all starts (`configured`).
"""
