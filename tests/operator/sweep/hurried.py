"""`tapehouse-operator` with a shorter temper: `hurried.py FACTOR ARGUMENTS…`.

Every time span that decides how soon the operator gives up on something is divided by FACTOR, so
that a fault that lasts minutes can be shown in seconds. With 1 it is the operator as it is.
"""

import sys

from tapehouse_kube import client
from tapehouse_operator import reconcile
from tapehouse_operator.__main__ import main
from tapehouse_operator.backends import lease
from tapehouse_operator.shell import handlers, recorder

LEAST = 3.0
"""Seconds for a request even so: a busy machine is no fault."""
SPANS = (
    (client, "SILENCE"),
    (handlers, "SILENCE"),
    (client, "REQUEST_TIMEOUT"),
    (lease, "REQUEST_TIMEOUT"),
    (lease, "DURATION"),
    (lease, "RENEW"),
    (reconcile, "TEARDOWN_DEADLINE"),
)

if __name__ == "__main__":
    factor, arguments = float(sys.argv[1]), sys.argv[2:]
    for module, name in SPANS:
        least = LEAST if name == "REQUEST_TIMEOUT" else 0.0
        setattr(module, name, max(least, getattr(module, name) / factor))
    recorder.PACE = 0.01  # nobody waits for Events, but a test waits for the last of them
    main(arguments)
