"""Kopf without the official Kubernetes client, which nothing here uses.

Kopf imports it wherever it is installed, only to recognise its objects: 41 MB and half a second of
every start.
"""

import sys

_CLIENT = "kubernetes"
_imported = sys.modules.get(_CLIENT)
sys.modules[_CLIENT] = None  # type: ignore[assignment]  # importing it now is an ImportError

import kopf  # noqa: E402

del sys.modules[_CLIENT]
if _imported is not None:
    sys.modules[_CLIENT] = _imported

__all__ = ["kopf"]
