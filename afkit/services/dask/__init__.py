"""The Dask service: makes and keeps people's Dask clusters, who have no rights in Kubernetes themselves.

``python -m afkit.services.dask FILE`` runs it in its pod.
"""
