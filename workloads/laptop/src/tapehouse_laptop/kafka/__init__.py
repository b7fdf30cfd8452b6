"""Kafka on the laptop: the part Strimzi plays on a cluster."""
