"""A whole facility on one machine: state directory, proxy, hub, and the supervisor that ends all of it.

Nothing here imports JupyterHub: the hub is a child process, and its packaged configuration calls `afkit.hub.configure`.
"""
