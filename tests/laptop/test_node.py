"""Pods as processes: what a Pod's author may rely on."""

import asyncio
import json
import time

import psutil
import pytest
from tapehouse_laptop.kubeapi import CONFIG_MAPS, PODS, SECRETS, Key
from tapehouse_laptop.node import disk

from tests.laptop.pods import Laptop, conditions, sh, state_of, until
from tests.support.controlplane import ApiServer

pytestmark = pytest.mark.api


async def test_a_pod_runs_to_its_end_with_the_kubelets_status(laptop: Laptop) -> None:
    key = await laptop.create("ends", sh("echo hello; exit 0"), restartPolicy="Never")
    pod = await laptop.phase(key, "Succeeded")
    ended = state_of(pod)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    assert laptop.log(key) == "hello\n"
    assert pod["status"]["podIP"].startswith(laptop.ctx.net.prefix + ".1.")
    assert conditions(pod)["Ready"] == "False"
    assert conditions(pod)["PodScheduled"] == "True"


async def test_a_failure_is_reported_with_its_termination_message(laptop: Laptop) -> None:
    told = sh('echo bad spec > "$TAPEHOUSE_ROOT/dev/termination-log"; exit 3')
    key = await laptop.create("told", told, restartPolicy="Never")
    pod = await laptop.phase(key, "Failed")
    ended = state_of(pod)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "bad spec\n")


async def test_without_a_message_the_log_speaks_if_asked(laptop: Laptop) -> None:
    silent = sh("seq 200; echo the end; exit 1", terminationMessagePolicy="FallbackToLogsOnError")
    key = await laptop.create("silent", silent, restartPolicy="Never")
    message = state_of(await laptop.phase(key, "Failed"))["state"]["terminated"]["message"]
    assert message.endswith("the end")
    assert len(message.splitlines()) == 80


async def test_variables_come_from_everywhere_and_refer_to_each_other(laptop: Laptop) -> None:
    await laptop.config_map("settings", topic="raw.trades", level="INFO")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": laptop.namespace, "name": "user"},
        "stringData": {"password": "s3cret"},
    }
    await laptop.kube.apply(SECRETS, secret)
    topic = {"configMapKeyRef": {"name": "settings", "key": "topic"}}
    memory = {"resource": "limits.memory", "divisor": "1Mi"}
    env = [
        {"name": "TAPEHOUSE_ROOT", "value": ""},
        {"name": "PLAIN", "value": "a"},
        {"name": "TOPIC", "valueFrom": topic},
        {"name": "COMPOSED", "value": "$(PLAIN)-$(TOPIC)-$$(PLAIN)-$(ABSENT)"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "PASS", "valueFrom": {"secretKeyRef": {"name": "user", "key": "password"}}},
        {
            "name": "NONE",
            "valueFrom": {"secretKeyRef": {"name": "none", "key": "k", "optional": True}},
        },
        {"name": "MIB", "valueFrom": {"resourceFieldRef": memory}},
    ]
    container = sh(
        "import json, os, sys; print(json.dumps([dict(os.environ), sys.argv[1:]]))",
        env=env,
        envFrom=[{"configMapRef": {"name": "settings"}, "prefix": "S_"}],
        args=["$(TAPEHOUSE_ROOT)/etc", "$(TOPIC)"],
        resources={"limits": {"memory": "256Mi"}},
    )
    container["command"] = ["python", *container["command"][1:]]
    key = await laptop.create("variables", container, restartPolicy="Never")
    pod = await laptop.phase(key, "Succeeded")
    seen, args = json.loads(laptop.log(key))
    assert seen["COMPOSED"] == "a-raw.trades-$(PLAIN)-$(ABSENT)"
    assert (seen["POD"], seen["APP"]) == ("variables", "variables")
    assert seen["IP"] == pod["status"]["podIP"]
    assert (seen["PASS"], seen["S_level"], seen["MIB"]) == ("s3cret", "INFO", "256")
    assert "NONE" not in seen
    assert args == [seen["TAPEHOUSE_ROOT"] + "/etc", "raw.trades"]
    assert seen["TAPEHOUSE_ROOT"].startswith(str(laptop.ctx.state.pods))
    assert seen["TAPEHOUSE_DATA"] == str(laptop.ctx.data)


async def test_a_missing_source_is_named_and_waited_for(laptop: Laptop) -> None:
    late = sh(
        "echo $X",
        env=[{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "x"}}}],
    )
    key = await laptop.create("waits", late, restartPolicy="Never")
    pod = await laptop.until(
        key,
        lambda pod: (
            "CreateContainerConfigError"
            in str(state_of(pod)["state"].get("waiting", {}).get("reason"))
        ),
    )
    assert state_of(pod)["state"]["waiting"]["message"] == 'configMap "late" not found'
    await laptop.config_map("late", x="there")
    await laptop.phase(key, "Succeeded")
    assert laptop.log(key) == "there\n"


async def test_a_mounted_config_map_changes_as_a_whole(laptop: Laptop) -> None:
    await laptop.config_map("feed", a="1", b="1")
    script = (
        'cd "$TAPEHOUSE_ROOT/etc/tapehouse"; while :; do echo $(cat ..data/a ..data/b 2>&1) $(ls); '
        "sleep 0.05; done"
    )
    mounts = [{"name": "config", "mountPath": "/etc/tapehouse"}]
    volumes = [{"name": "config", "configMap": {"name": "feed"}}]
    key = await laptop.create("mounted", sh(script, volumeMounts=mounts), volumes=volumes)
    await until(lambda: _log(laptop, key), lambda text: "11 a b" in text)
    await laptop.config_map("feed", a="2", b="2")
    patch = {"data": {"b": None, "a": "3", "c": "3"}}
    await laptop.kube.patch(CONFIG_MAPS, Key(laptop.namespace, "feed"), patch)
    text = await until(lambda: _log(laptop, key), lambda text: text.endswith(" a c\n"))
    assert "3" in text


async def _log(laptop: Laptop, key: Key) -> str:
    return laptop.log(key)


async def test_volumes_are_shared_between_containers_and_roots_are_not(laptop: Laptop) -> None:
    mounts = [{"name": "scratch", "mountPath": "/var/scratch"}]
    first = sh('echo data > "$TAPEHOUSE_ROOT/var/scratch/x"', "first", volumeMounts=mounts)
    main = sh('cat "$TAPEHOUSE_ROOT/var/scratch/x"; ls "$TAPEHOUSE_ROOT"', volumeMounts=mounts)
    key = await laptop.create(
        "shared",
        main,
        initContainers=[first],
        restartPolicy="Never",
        volumes=[{"name": "scratch", "emptyDir": {}}],
    )
    pod = await laptop.phase(key, "Succeeded")
    assert laptop.log(key).splitlines()[0] == "data"
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


async def test_a_failing_init_container_keeps_the_others_from_starting(laptop: Laptop) -> None:
    key = await laptop.create(
        "init-fails", sh("echo ran"), initContainers=[sh("exit 7", "first")], restartPolicy="Never"
    )
    pod = await laptop.phase(key, "Failed")
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
    assert laptop.log(key) == ""


async def test_a_crashing_container_is_restarted_with_growing_pauses(laptop: Laptop) -> None:
    key = await laptop.create("crashes", sh("date +%s.%N; exit 1"))
    pod = await laptop.until(
        key,
        lambda pod: state_of(pod)["restartCount"] >= 3 and "waiting" in state_of(pod)["state"],
    )
    status = state_of(pod)
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIP"]


async def test_on_failure_stops_at_success(laptop: Laptop) -> None:
    script = 'f="$TAPEHOUSE_ROOT/tmp/again"; [ -e "$f" ] && exit 0; touch "$f"; exit 1'
    key = await laptop.create("retries", sh(script), restartPolicy="OnFailure")
    pod = await laptop.phase(key, "Succeeded")
    assert state_of(pod)["restartCount"] == 1


async def test_readiness_follows_the_probe(laptop: Laptop) -> None:
    probe = {
        "exec": {"command": ["sh", "-c", '[ -e "$TAPEHOUSE_DATA/$(MARK)" ]']},
        "periodSeconds": 1,
        "failureThreshold": 1,
    }
    container = sh("sleep 60", readinessProbe=probe, env=[{"name": "MARK", "value": "mark"}])
    key = await laptop.create("probed", container)
    await laptop.phase(key, "Running")
    assert conditions(await laptop.phase(key, "Running"))["Ready"] == "False"
    (laptop.ctx.data / "mark").touch()
    await laptop.until(key, lambda pod: conditions(pod)["Ready"] == "True")
    (laptop.ctx.data / "mark").unlink()
    await laptop.until(key, lambda pod: conditions(pod)["Ready"] == "False")


async def test_an_http_server_on_its_own_address_is_found_by_port_name(laptop: Laptop) -> None:
    server = {
        "name": "main",
        "image": "registry.example/tapehouse/query:1.2",
        "command": ["python", "-m", "http.server", "8080", "--bind", "$(POD_IP)"],
        "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
    }
    address = f"{laptop.ctx.net.prefix}.0.11"
    key = await laptop.create("serves", server, annotations={"tapehouse.dev/pod-ip": address})
    pod = await laptop.until(key, lambda pod: conditions(pod).get("Ready") == "True")
    assert pod["status"]["podIP"] == address


async def test_a_dead_container_is_restarted_by_its_liveness_probe(laptop: Laptop) -> None:
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    key = await laptop.create(
        "dead", sh("sleep 60", livenessProbe=probe), terminationGracePeriodSeconds=1
    )
    pod = await laptop.until(key, lambda pod: state_of(pod)["restartCount"] >= 1)
    assert state_of(pod)["lastState"]["terminated"]["exitCode"] == 143


async def test_deletion_asks_first_and_kills_the_whole_group_later(laptop: Laptop) -> None:
    stubborn = sh("trap '' TERM; sleep 300 & echo $! ; wait; while :; do sleep 1; done")
    key = await laptop.create("stubborn", stubborn, terminationGracePeriodSeconds=1)
    await laptop.phase(key, "Running")
    text = await until(lambda: _log(laptop, key), lambda text: text.endswith("\n"))
    child = int(text)
    assert psutil.pid_exists(child)
    began = time.monotonic()
    await laptop.kube.delete(PODS, key)
    await laptop.gone(key)
    assert 0.9 < time.monotonic() - began < 10
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"
    assert not any(laptop.ctx.state.pods.iterdir())


async def test_an_unknown_image_is_named_with_the_known_ones(laptop: Laptop) -> None:
    container = {"name": "main", "image": "nginx:1", "command": ["nginx"]}
    key = await laptop.create("unknown", container)
    pod = await laptop.until(key, lambda pod: state_of(pod)["state"])
    waiting = state_of(pod)["state"]["waiting"]
    assert waiting["reason"] == "ErrImagePull"
    assert '"nginx:1"' in waiting["message"]
    assert "tapehouse/feed" in waiting["message"]
    assert pod["status"]["phase"] == "Pending"


async def test_two_pods_do_not_share_an_address(laptop: Laptop) -> None:
    static = {"tapehouse.dev/pod-ip": f"{laptop.ctx.net.prefix}.0.12"}
    first = await laptop.create("first", sh("sleep 60"), annotations=static)
    await laptop.phase(first, "Running")
    second = await laptop.create("second", sh("sleep 60"), annotations=static)
    pod = await laptop.until(
        second, lambda pod: "held by Pod first" in json.dumps(state_of(pod)["state"])
    )
    assert pod["status"]["phase"] == "Pending"
    await laptop.kube.delete(PODS, first, grace=1)
    await laptop.phase(second, "Running")


async def test_a_pod_talks_to_the_api_as_its_service_account(laptop: Laptop) -> None:
    script = (
        "import kubernetes as k; k.config.load_config(); "
        "r = k.client.AuthenticationV1Api().create_self_subject_review({}); "
        "print(r.status.user_info.username)"
    )
    container = {
        "name": "main",
        "image": "tapehouse/operator:test",
        "command": ["python", "-c", script],
    }
    key = await laptop.create("asks", container, restartPolicy="Never")
    await laptop.until(key, lambda pod: pod["status"].get("phase") in {"Succeeded", "Failed"})
    assert laptop.log(key) == f"system:serviceaccount:{laptop.namespace}:default\n"


async def test_a_deployment_becomes_available(laptop: Laptop) -> None:
    labels = {"app": "web"}
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": laptop.namespace, "name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [sh("sleep 60")]}},
        },
    }
    path = f"/apis/apps/v1/namespaces/{laptop.namespace}/deployments"
    await laptop.kube.request("POST", path, body=manifest)
    await until(
        lambda: laptop.kube.request("GET", f"{path}/web"),
        lambda item: item["status"].get("readyReplicas") == 2,
    )
    await laptop.kube.request("DELETE", f"{path}/web", body={"propagationPolicy": "Foreground"})
    await until(lambda: laptop.kube.list(PODS, laptop.namespace), lambda found: not found[0])


async def test_a_command_that_does_not_exist_says_so(laptop: Laptop) -> None:
    container = {"name": "main", "image": "tapehouse/feed:x", "command": ["no-such-program"]}
    key = await laptop.create("typo", container, restartPolicy="Never")
    ended = state_of(await laptop.phase(key, "Failed"))["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "no-such-program" in ended["message"]


async def test_other_volumes_are_refused_in_words(laptop: Laptop) -> None:
    volume = {"name": "h", "hostPath": {"path": "/"}}
    key = await laptop.create("host", sh("true"), volumes=[volume])
    pod = await laptop.until(
        key, lambda pod: "message" in state_of(pod)["state"].get("waiting", {})
    )
    assert "hostPath" in state_of(pod)["state"]["waiting"]["message"]


async def test_a_full_disk_stops_what_takes_in_data_and_nothing_else(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "EVERY_SECONDS", 0.1)
    feed = {**sh("sleep 60"), "image": "tapehouse/feed:test"}
    taker = await laptop.create("taker", feed)
    other = await laptop.create("other", sh("sleep 60"))
    for key in (taker, other):
        await laptop.phase(key, "Running")
    monkeypatch.setenv(disk.RESERVE_VARIABLE, "9000000")
    pod = await laptop.until(
        taker, lambda pod: state_of(pod)["state"].get("waiting", {}).get("reason") == "DiskPressure"
    )
    assert "less than the reserve" in state_of(pod)["state"]["waiting"]["message"]
    assert "running" in state_of(await laptop.phase(other, "Running"))["state"]
    assert laptop.ctx.components.get("disk")
    monkeypatch.delenv(disk.RESERVE_VARIABLE)
    await laptop.until(taker, lambda pod: "running" in state_of(pod)["state"])
    assert not laptop.ctx.components.get("disk")


async def test_kubectl_logs_works_and_follows_to_the_end(
    laptop: Laptop, apiserver: ApiServer
) -> None:
    key = await laptop.create(
        "talks", sh("echo one; echo two; sleep 1; echo three"), restartPolicy="Never"
    )
    await laptop.phase(key, "Running")
    ask = ("logs", "-n", laptop.namespace, "talks", "--tail=2", "-f")
    text = await asyncio.to_thread(apiserver.kubectl, *ask)
    assert text.splitlines()[-1] == "three"
    whole = await asyncio.to_thread(apiserver.kubectl, "logs", "-n", laptop.namespace, "talks")
    assert whole == "one\ntwo\nthree\n"
