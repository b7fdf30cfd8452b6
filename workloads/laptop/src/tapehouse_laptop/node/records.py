"""What an earlier life of the node reported of a Pod's containers."""

from tapehouse_laptop.kubeapi import Manifest
from tapehouse_laptop.node.status import Record, is_final


def records(pod: Manifest, specs: str, statuses: str) -> list[Record]:
    """One record per container, going on from what an earlier life of the node reported."""
    before = {s["name"]: s for s in (pod.get("status") or {}).get(statuses) or ()}
    policy = pod["spec"].get("restartPolicy", "Always")
    specs_found = pod["spec"].get(specs) or ()
    return [_record(spec, before.get(spec["name"]) or {}, policy) for spec in specs_found]


def _record(spec: Manifest, before: Manifest, policy: str) -> Record:
    record = Record(spec["name"], spec["image"])
    record.restarts = before.get("restartCount", 0)
    record.last_state = before.get("lastState") or {}
    state = before.get("state") or {}
    if "running" in state:
        # Its end was not seen: it is run again, whatever the policy.
        record.restarts += 1
    elif "terminated" in state and is_final(state["terminated"]["exitCode"], policy):
        record.state = state
    elif "terminated" in state:
        record.last_state = state
    return record
