"""Pods as processes: a kubelet for one developer machine, without containers."""
