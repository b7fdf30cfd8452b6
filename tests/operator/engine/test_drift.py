"""Which desired fields are no longer ours, from `managedFields` as the API server writes them."""

import json

import pytest
from tapehouse_operator.drift import lost_fields, owned_fields

DESIRED = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "w", "namespace": "n", "labels": {"a": "1"}, "annotations": {}},
    "spec": {
        "replicas": 1,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "args": ["x"],
                        "ports": [{"containerPort": 80}],
                        "resources": {"limits": {"cpu": "1000m"}},
                    }
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            }
        },
    },
}
CONTAINER = {
    ".": {},
    "f:name": {},
    "f:args": {},
    "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
    "f:resources": {"f:limits": {"f:cpu": {}}},
}
VOLUMES = {'k:{"name":"tmp"}': {".": {}, "f:name": {}, "f:emptyDir": {}}}


def fields(container=CONTAINER, spec=None, labels=None) -> str:
    pod = {"f:containers": {'k:{"name":"main"}': container}, "f:volumes": VOLUMES}
    whole = {
        "f:metadata": {"f:labels": {"f:a": {}} if labels is None else labels},
        "f:spec": {"f:replicas": {}, "f:template": {"f:spec": pod}} if spec is None else spec,
    }
    return json.dumps(whole)


def test_what_is_all_ours_is_no_drift() -> None:
    assert lost_fields(DESIRED, fields()) == ()


@pytest.mark.parametrize(
    ("live", "lost"),
    [
        (fields(labels={".": {}}), ("metadata.labels.a",)),
        (
            fields(container={k: v for k, v in CONTAINER.items() if k != "f:args"}),
            ("spec.template.spec.containers[0].args",),
        ),
        (
            fields(container={**CONTAINER, "f:resources": {"f:limits": {".": {}}}}),
            ("spec.template.spec.containers[0].resources.limits.cpu",),
        ),
        (
            fields(container={**CONTAINER, "f:ports": {".": {}}}),
            ("spec.template.spec.containers[0].ports[0].containerPort",),
        ),
    ],
)
def test_a_field_taken_by_somebody_is_named(live: str, lost: tuple[str, ...]) -> None:
    assert lost_fields(DESIRED, live) == lost


def test_without_any_ownership_everything_is_lost() -> None:
    assert "spec.replicas" in lost_fields(DESIRED, "")
    assert "metadata.annotations" not in lost_fields(DESIRED, ""), "there is nothing in it"


def test_only_our_own_apply_counts() -> None:
    ours = {"manager": "tapehouse", "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}}}
    metadata = {
        "managedFields": [
            {"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:data": {"f:b": {}}}},
            {**ours, "operation": "Update"},
            {**ours, "subresource": "status"},
            ours,
        ]
    }
    assert json.loads(owned_fields(metadata)) == {"f:data": {"f:a": {}}}
    assert owned_fields({}) == ""


def owned_by(uid: str) -> str:
    references = {f'k:{{"uid":"{uid}"}}': {}} if uid else {}
    fields = {"f:metadata": {"f:ownerReferences": {".": {}, **references}}}
    entry = {"manager": "tapehouse", "operation": "Apply", "fieldsV1": fields}
    return owned_fields({"managedFields": [entry]})


def test_children_of_all_resources_share_one_set_of_fields() -> None:
    owner = {"kind": "Widget", "name": "w", "uid": "1"}
    desired = {"metadata": {"name": "w", "ownerReferences": [owner]}}
    assert owned_by("1") == owned_by("2")
    assert lost_fields(desired, owned_by("1")) == ()
    assert lost_fields(desired, owned_by("")) == (
        "metadata.ownerReferences[0].kind",
        "metadata.ownerReferences[0].name",
        "metadata.ownerReferences[0].uid",
    )
