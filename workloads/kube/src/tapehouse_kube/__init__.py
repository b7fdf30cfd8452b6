"""The way to the Kubernetes API: access, client, informer and work queue."""
