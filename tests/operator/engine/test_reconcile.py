"""What a resource's author sees, on a cluster in memory and in virtual time."""

import asyncio
from collections.abc import AsyncIterator

from tapehouse_kube.objects import Ref, Scope, WatchEvent
from tapehouse_operator.kinds.contract import Key
from tapehouse_operator.names import FINALIZER, LABEL_OWNER, SETTINGS

from tests.operator.engine.house import NS, House, house, widget
from tests.operator.engine.virtual import run_virtual
from tests.support.memory_kube import MemoryKube


def test_a_new_resource_costs_its_children_and_one_status_patch_then_one_when_ready():
    async def story() -> None:
        async with house() as h:
            h.put("first")  # reads the settings of the namespace, once for all
            await h.settle()
            h.controllers.paused = True
            h.put("w", parts=["a", "b"])
            before, asked = len(h.kube.writes), dict(h.kube.calls)
            await h.settle()
            calls = {v: n - asked.get(v, 0) for v, n in h.kube.calls.items()}
            assert {v: n for v, n in calls.items() if n} == {"apply": 4, "merge": 1}
            verbs = [(verb, ref.kind) for verb, ref in h.kube.writes[before:]]
            assert verbs == [
                ("apply", "ControllerRevision"),
                ("apply", "ConfigMap"),
                ("apply", "ConfigMap"),
                ("apply", "Deployment"),
                ("merge", "Widget"),
            ]
            assert h.condition("w", "Ready")[:2] == ("False", "ChildrenNotReady")
            h.controllers.paused = False
            await h.settle()
            assert h.condition("w", "Ready")[:2] == ("True", "Ready")
            assert h.status("w")["phase"] == "Ready"
            assert h.status("w")["currentRevision"] == "widget.w-00001"
            assert h.status("w")["lastStableRevision"] == "widget.w-00001"
            assert [v for v, r in h.kube.writes[before + 5 :]] == ["edit", "merge"]

    run_virtual(story())


def test_a_restart_writes_nothing_and_rest_asks_nothing():
    async def story() -> None:
        async with house() as h:
            for n in range(20):
                h.put(f"w{n}", size=n, parts=["a", "b"], table=f"t{n}", topic=f"topic{n}")
            await h.settle()
            await h.stop()
            before = len(h.kube.writes)
            await h.start()
            await h.settle()
            assert h.kube.writes[before:] == []

    run_virtual(story())


def test_a_look_at_an_unchanged_resource_asks_the_api_server_nothing():
    async def story() -> None:
        async with house() as h:
            h.config("extra", colour="red")
            h.put("w", needs="extra", topic="t", table="t", sql="SELECT 1")
            h.put("waits", needs="missing")
            await h.settle()
            before = dict(h.kube.calls)
            for name in ("w", "waits"):
                h.engine.queue.wake(Key("Widget", NS, name))
            await h.settle()
            assert h.kube.calls == before

    run_virtual(story())


def test_a_refused_spec_leaves_the_accepted_one_running():
    async def story() -> None:
        async with house() as h:
            h.put("w", size=3, parts=["a", "b"])
            await h.settle()
            h.put("w", size=100, parts=["a"])
            await h.settle()
            assert h.condition("w", "Accepted") == (
                "False",
                "Invalid",
                "spec.size: 100: less than 100 is accepted",
            )
            assert h.condition("w", "Stalled")[0] == "True"
            assert h.condition("w", "Ready")[0] == "False"
            assert h.names("ConfigMap") == [SETTINGS, "w-a", "w-b"]
            h.kube.remove(Ref("v1", "ConfigMap", NS, "w-b"))
            await h.settle()
            assert "w-b" in h.names("ConfigMap"), "the accepted revision is still enforced"
            h.put("w", size=4, parts=["a"])
            await h.settle()
            assert h.condition("w", "Ready")[0] == "True"
            assert h.status("w")["revision"] == 2
            assert h.names("ConfigMap") == [SETTINGS, "w-a"]

    run_virtual(story())


def test_a_misspelt_field_is_refused_with_its_name():
    async def story() -> None:
        async with house() as h:
            h.put("w", sise=3)
            await h.settle()
            status, reason, message = h.condition("w", "Accepted")
            assert (status, reason) == ("False", "UnknownField")
            assert message.startswith("spec.sise: 3: no such field; did you mean size")
            assert h.names("ControllerRevision") == []

    run_virtual(story())


def test_suspending_works_on_a_refused_spec():
    async def story() -> None:
        async with house() as h:
            h.put("w", size=3)
            await h.settle()
            h.put("w", size=100, suspend=True)
            await h.settle()
            assert h.kube.objects[Ref("apps/v1", "Deployment", NS, "w")]["spec"]["replicas"] == 0

    run_virtual(story())


def test_suspend_makes_no_revision():
    async def story() -> None:
        async with house() as h:
            h.put("w", size=3)
            await h.settle()
            h.put("w", size=3, suspend=True)
            await h.settle()
            assert h.condition("w", "Ready")[:2] == ("False", "Suspended")
            assert h.condition("w", "Progressing")[0] == "False"
            assert h.status("w")["phase"] == "Suspended"
            assert h.names("ControllerRevision") == ["widget.w-00001"]

    run_virtual(story())


def test_missing_settings_and_references_are_waited_for_without_polling():
    async def story() -> None:
        async with house() as h:
            h.kube.remove(Ref("v1", "ConfigMap", NS, SETTINGS))
            h.put("w", needs="extra")
            await h.settle()
            assert h.condition("w", "Ready")[1] == "SettingsMissing"
            h.config(SETTINGS, environment="test")
            await h.settle()
            assert h.condition("w", "Ready")[1] == "ReferenceNotFound"
            assert h.condition("w", "Accepted")[0] == "Unknown"
            h.config("extra", colour="red")
            await h.settle()
            assert h.condition("w", "Ready")[0] == "True"
            h.config("extra", colour="blue")
            await h.settle()
            part = h.kube.objects[Ref("v1", "ConfigMap", NS, "w-a")]
            assert part["data"]["colour"] == "blue"
            h.kube.remove(Ref("v1", "ConfigMap", NS, "extra"))
            await h.settle()
            assert h.condition("w", "Ready")[:2] == ("False", "ReferenceNotFound")
            assert h.condition("w", "Accepted")[0] == "True"
            assert h.condition("w", "Degraded")[0] == "True"
            assert "w-a" in h.names("ConfigMap"), "what runs keeps running"

    run_virtual(story())


class TestChecks:
    def test_a_spec_is_accepted_once_its_check_has_passed(self):
        async def story() -> None:
            async with house() as h:
                h.controllers.paused = True
                h.put("w", sql="SELECT 1")
                await h.settle()
                assert h.condition("w", "Accepted")[:2] == ("Unknown", "Checking")
                assert h.status("w")["phase"] == "Checking"
                assert h.names("ControllerRevision") == []
                assert len(h.names("Pod")) == 1
                h.controllers.paused = False
                await h.settle()
                assert h.condition("w", "Ready")[0] == "True"
                assert h.names("Pod") == []
                assert "w-sql" not in h.names("ConfigMap")

        run_virtual(story())

    def test_the_old_revision_runs_while_the_new_one_is_checked_and_refused(self):
        async def story() -> None:
            async with house() as h:
                h.put("w", sql="SELECT 1", parts=["a", "b"])
                await h.settle()
                h.put("w", sql="SELECT bad", parts=["c"])
                await h.settle()
                assert h.condition("w", "Accepted") == (
                    "False",
                    "InvalidSql",
                    "spec.sql: 'bad': write something Flink can plan",
                )
                parts = [n for n in h.names("ConfigMap") if n != SETTINGS]
                assert parts == ["w-a", "w-b", "w-sql"]
                await assert_rest_survives_restart(h)
                h.put("w", sql="SELECT 1", parts=["a", "b"])
                await h.settle()
                assert h.condition("w", "Ready")[0] == "True"
                assert h.names("Pod") == []
                assert h.names("ControllerRevision") == ["widget.w-00001"]

        run_virtual(story())

    def test_a_check_that_dies_is_tried_again(self):
        async def story() -> None:
            async with house() as h:
                h.put("w", sql="SELECT crash")
                await h.settle(300, quiet_for=300)
                pods = [ref for verb, ref in h.kube.writes if ref.kind == "Pod" and verb == "apply"]
                assert 3 <= len(pods) <= 10
                assert h.condition("w", "Accepted")[:2] == ("Unknown", "Checking")
                assert "137" in h.condition("w", "Accepted")[2]

        run_virtual(story(), limit=10_000)


class TestOwnership:
    def test_a_foreign_object_is_not_taken(self):
        async def story() -> None:
            async with house() as h:
                h.config("w-a", mine="yes")
                h.put("w")
                await h.settle()
                assert h.kube.objects[Ref("v1", "ConfigMap", NS, "w-a")]["data"] == {"mine": "yes"}
                status, reason, message = h.condition("w", "Ready")
                assert (status, reason) == ("False", "NameTaken")
                assert f"{LABEL_OWNER}=widget.w" in message
                h.kube.edit(
                    Ref("v1", "ConfigMap", NS, "w-a"),
                    {"metadata": {"labels": {LABEL_OWNER: "widget.w"}}},
                )
                await h.settle()
                assert h.condition("w", "Ready")[0] == "True"

        run_virtual(story())

    def test_a_foreign_object_of_which_no_watch_has_told_is_not_taken(self):
        class Deaf(MemoryKube):
            async def watch(self, scope: Scope, since: str) -> AsyncIterator[WatchEvent]:
                if scope.kind == "ConfigMap":
                    await asyncio.Event().wait()
                async for event in super().watch(scope, since):
                    yield event

        async def story() -> None:
            async with house(Deaf()) as h:
                h.config("w-a", size="77")
                h.put("w")
                await h.settle()
                assert h.kube.objects[Ref("v1", "ConfigMap", NS, "w-a")]["data"] == {"size": "77"}
                assert h.condition("w", "Ready")[:2] == ("False", "NameTaken")

        run_virtual(story())

    def test_a_claimed_topic_is_refused_and_free_again_when_its_owner_lets_go(self):
        async def story() -> None:
            async with house() as h:
                h.put("one", topic="trades", deletionPolicy="Delete")
                await h.settle()
                h.put("two", topic="trades")
                await h.settle()
                assert h.condition("two", "Accepted")[:2] == ("False", "TopicTaken")
                h.kube.remove(widget("one"))
                await h.settle()
                assert h.condition("two", "Ready")[0] == "True"

        run_virtual(story())

    def test_retained_children_survive_deletion_and_are_adopted(self):
        async def story() -> None:
            async with house() as h:
                h.put("w", topic="trades", size=3)
                await h.settle()
                h.kube.remove(widget("w"))
                await h.settle()
                assert h.names("KafkaTopic") == ["trades"]
                assert [n for n in h.names("ConfigMap") if n != SETTINGS] == []
                uid = h.kube.objects[Ref("kafka.strimzi.io/v1", "KafkaTopic", NS, "trades")][
                    "metadata"
                ]["uid"]
                h.put("w", topic="trades", size=5)
                await h.settle()
                topic = h.kube.objects[Ref("kafka.strimzi.io/v1", "KafkaTopic", NS, "trades")]
                assert topic["metadata"]["uid"] == uid
                assert topic["spec"]["partitions"] == 5
                h.put("w", size=5)
                await h.settle()
                assert h.names("KafkaTopic") == ["trades"], "data is never pruned"

        run_virtual(story())


class TestDrift:
    def test_enforce_sets_back_what_is_ours_and_leaves_the_rest(self):
        async def story() -> None:
            async with house() as h:
                h.put("w", size=3)
                await h.settle()
                ref = Ref("apps/v1", "Deployment", NS, "w")
                foreign = {"metadata": {"annotations": {"them": "1"}}, "spec": {"replicas": 9}}
                h.kube.edit(ref, foreign)
                await h.settle()
                assert h.kube.objects[ref]["spec"]["replicas"] == 3
                assert h.kube.objects[ref]["metadata"]["annotations"]["them"] == "1"
                h.kube.edit(ref, {"spec": {"replicas": None}})
                await h.settle()
                assert h.kube.objects[ref]["spec"]["replicas"] == 3
                await assert_rest_survives_restart(h)

        run_virtual(story())

    def test_warn_tells_and_ignore_does_not(self):
        async def story() -> None:
            async with house() as h:
                h.put("w", size=3, driftPolicy="Warn")
                await h.settle()
                ref = Ref("apps/v1", "Deployment", NS, "w")
                h.kube.edit(ref, {"spec": {"replicas": 9}})
                await h.settle()
                assert h.kube.objects[ref]["spec"]["replicas"] == 9
                assert h.condition("w", "Drifted") == (
                    "True",
                    "Drifted",
                    "changed by others: Deployment w: spec.replicas",
                )
                assert h.condition("w", "Ready")[0] == "True"
                await assert_rest_survives_restart(h)
                h.put("w", size=3, driftPolicy="Ignore")
                await h.settle()
                assert h.condition("w", "Drifted")[0] == "False"
                h.put("w", size=3)
                await h.settle()
                assert h.kube.objects[ref]["spec"]["replicas"] == 3

        run_virtual(story())


class TestRevisions:
    def test_going_back_is_a_new_revision_and_the_history_is_limited(self):
        async def story() -> None:
            async with house() as h:
                for size in (1, 2, 3, 4, 1):
                    h.put("w", size=size, revisionHistoryLimit=2)
                    await h.settle()
                assert h.names("ControllerRevision") == [
                    "widget.w-00003",
                    "widget.w-00004",
                    "widget.w-00005",
                ]
                assert h.status("w")["revisionHighWater"] == 5

        run_virtual(story())

    def test_defaults_and_order_make_no_revision(self):
        async def story() -> None:
            async with house() as h:
                h.put("w", size=2, parts=["a"], rate=10)
                await h.settle()
                h.put("w", rate=10.0, parts=["a"], topic="", size=2)
                await h.settle()
                assert h.names("ControllerRevision") == ["widget.w-00001"]

        run_virtual(story())


class TestDeletion:
    def test_a_finalizer_exists_only_where_data_outside_is_to_be_removed(self):
        async def story() -> None:
            async with house() as h:
                h.put("kept", table="kept")
                h.put("gone", table="gone", deletionPolicy="Delete")
                await h.settle()
                assert "finalizers" not in h.kube.objects[widget("kept")]["metadata"]
                assert h.kube.objects[widget("gone")]["metadata"]["finalizers"] == [FINALIZER]
                h.kube.remove(widget("kept"))
                h.kube.remove(widget("gone"))
                await h.settle()
                assert h.names("Widget") == []
                assert list(h.shelf.tables) == ["kept"]

        run_virtual(story())

    def test_an_unreachable_catalog_holds_a_deletion_only_until_the_deadline(self):
        async def story() -> None:
            async with house() as h:
                h.put("w", table="t", deletionPolicy="Delete")
                await h.settle()
                h.shelf.down = True
                h.kube.remove(widget("w"))
                await h.settle(60)
                assert h.condition("w", "Ready")[1] == "DeleteFailed"
                assert h.status("w")["phase"] == "Deleting"
                await h.settle(600, quiet_for=600)
                assert h.names("Widget") == []

        run_virtual(story())

    def test_the_catalog_coming_back_completes_the_deletion(self):
        async def story() -> None:
            async with house() as h:
                h.put("w", table="t", deletionPolicy="Delete")
                await h.settle()
                h.shelf.down = True
                h.kube.remove(widget("w"))
                await h.settle(60)
                h.shelf.down = False
                await h.settle(60)
                assert h.names("Widget") == []
                assert h.shelf.tables == {}

        run_virtual(story())


def test_a_catalog_that_is_down_blocks_only_those_who_need_it():
    async def story() -> None:
        async with house() as h:
            h.shelf.down = True
            h.put("w", table="t")
            h.put("free")
            await h.settle()
            assert h.condition("free", "Ready")[0] == "True"
            assert h.condition("w", "Ready")[1:] == (
                "CatalogUnavailable",
                "the catalog cannot be reached",
            )
            h.shelf.down = False
            await h.settle()
            assert h.condition("w", "Ready")[0] == "True"

    run_virtual(story())


async def assert_rest_survives_restart(h: House) -> None:
    await h.settle()
    await h.stop()
    before = len(h.kube.writes)
    await h.start()
    await h.settle()
    assert h.kube.writes[before:] == []
