"""The namespace provisioner: makes and keeps what every user's own namespace holds, for the hub, which may not.

``python -m afkit.services.namespaces FILE`` runs it in its pod.
"""
