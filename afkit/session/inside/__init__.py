"""What runs inside the pods of a facility's Dask cluster, in the scheduler's and the workers' processes.

The facility's Dask service mounts all files ``afkit_*.py`` of this folder into the pods, flat, as Dask's preloads: the image there need
not have afkit. So they use the standard library, Dask and each other alone, and carry names that are nobody else's.
"""
