"""Least privilege for the operator and the query server, generated from the kinds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tapehouse_operator.backends.cluster import REVISIONS
from tapehouse_operator.decision import AnyKind
from tapehouse_operator.names import GROUP
from tapehouse_operator.shell.webhook import NAME as ADMISSION
from tapehouse_operator.shell.webhook import configuration_name

NAME = "tapehouse-operator"
ACCOUNT = f"tapehouse-system/{NAME}"
"""The service account that the chart makes, as `namespace/name`."""
REFERENCED = (("v1", "ConfigMap"), ("v1", "Secret"), ("kafka.strimzi.io/v1", "Kafka"))
"""What kinds only look at."""
READ = ("get", "list", "watch")
WRITE = ("create", "patch", "delete")


def rules(kinds: Sequence[AnyKind]) -> list[dict[str, Any]]:
    """The rules of the Role or ClusterRole, in a stable order."""
    own = [kind.model.names.plural for kind in kinds]
    owned = {REVISIONS, *(child for kind in kinds for child in kind.owned)}
    only_read = set(REFERENCED) - owned
    return [
        _rule(GROUP, own, (*READ, "patch")),
        _rule(GROUP, [f"{plural}/status" for plural in own], ("patch",)),
        _rule(GROUP, [f"{plural}/finalizers" for plural in own], ("update",)),
        *_by_group(owned, (*READ, *WRITE)),
        *_by_group(only_read, READ),
        _rule("", ["events"], ("create", "patch")),
        _rule("", ["secrets"], ("patch",), [ADMISSION]),
        _rule("coordination.k8s.io", ["leases"], ("get", "list", "watch", "create", "update")),
    ]


def manifests(kinds: Sequence[AnyKind], namespaces: Sequence[str], account: str) -> list[Any]:
    """Service account, role and binding: a Role in each namespace, or one ClusterRole; admission.

    `account` is `namespace/name` of the service account.
    """
    home, name = account.split("/")
    subject = {"kind": "ServiceAccount", "name": name, "namespace": home}
    out: list[Any] = [_object("v1", "ServiceAccount", name, home)]
    for namespace in namespaces or ("",):
        kind = "Role" if namespace else "ClusterRole"
        api = "rbac.authorization.k8s.io"
        out.append({**_object(f"{api}/v1", kind, NAME, namespace), "rules": rules(kinds)})
        out.append(
            {
                **_object(f"{api}/v1", f"{kind}Binding", NAME, namespace),
                "roleRef": {"apiGroup": api, "kind": kind, "name": NAME},
                "subjects": [dict(subject)],
            }
        )
    return [*out, *_admission(namespaces, home, subject)]


def _admission(namespaces: Sequence[str], home: str, subject: Mapping[str, str]) -> list[Any]:
    """What only admission needs: its Secret, which the operator fills, and rights by name."""
    api, name = "rbac.authorization.k8s.io", configuration_name(namespaces)
    configurations = ["validatingwebhookconfigurations"]
    return [
        _object("v1", "Secret", ADMISSION, namespaces[0] if namespaces else home),
        {
            **_object(f"{api}/v1", "ClusterRole", name, ""),
            "rules": [
                _rule("admissionregistration.k8s.io", configurations, ("create", "patch"), [name]),
                _rule(api, ["clusterroles"], ("get",), [name]),
            ],
        },
        {
            **_object(f"{api}/v1", "ClusterRoleBinding", name, ""),
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": name},
            "subjects": [dict(subject)],
        },
    ]


def query_role(kinds: Sequence[AnyKind]) -> dict[str, Any]:
    """What the query server may read: every resource, for its console, and the broker's address."""
    return {
        **_object("rbac.authorization.k8s.io/v1", "Role", "query", ""),
        "rules": [
            _rule(GROUP, [kind.model.names.plural for kind in kinds], READ),
            _rule("kafka.strimzi.io", ["kafkas"], READ),
        ],
    }


def _object(api_version: str, kind: str, name: str, namespace: str) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _by_group(objects: Iterable[tuple[str, str]], verbs: tuple[str, ...]) -> list[dict[str, Any]]:
    groups: dict[str, list[str]] = {}
    for api_version, kind in sorted(objects):
        group = api_version.rpartition("/")[0]
        groups.setdefault(group, []).append(f"{kind.lower()}s")
    return [_rule(group, plurals, verbs) for group, plurals in sorted(groups.items())]


def _rule(
    group: str, resources: Sequence[str], verbs: Sequence[str], names: Sequence[str] = ()
) -> dict[str, Any]:
    rule = {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
    return {**rule, "resourceNames": list(names)} if names else rule
