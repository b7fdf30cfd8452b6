"""A real Kubernetes control plane as processes on loopback."""
