"""A real Kubernetes on this machine, for tests and for a first look: built from released modules, alone in namespaces of its own.

``build`` makes the programs, ``machine`` looks at what the machine has, ``plan`` decides command lines and configuration,
``holder`` is the process that owns everything that runs, ``cluster`` is what others use (``Cluster``).
"""
