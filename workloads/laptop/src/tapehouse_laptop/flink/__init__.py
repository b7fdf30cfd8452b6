"""Flink on the laptop: the part the Flink Kubernetes Operator plays on a cluster."""
