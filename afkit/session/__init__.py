"""What runs in an analyst's session, and has no rights: Dask clusters, the Jupyter server's part, the doctor."""
