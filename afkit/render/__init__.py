"""What a facility needs in a cluster, as plain objects: deployments, rights, admission policies, values for a chart. Pure."""
