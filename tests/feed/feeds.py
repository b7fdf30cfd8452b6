"""Feeds for tests: their configuration, their topics, their processes."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Message
from confluent_kafka.admin import NewTopic
from tapehouse_tape.events import load_preset

from tests.feed.broker import Broker, eventually

PROGRAM = Path(sys.executable).parent / "tapehouse-feed"
SYMBOLS = ["AAPL", "MSFT", "GOOG"]


def document(name: str, bootstrap: str, source: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A `feed.json` with the market's events, on topics of the feed's own."""
    events = [
        {
            "name": event.name,
            "topic": f"{name}.{event.topic}",
            "key": event.key,
            "eventTime": event.event_time,
            "schemaId": f"schema-{event.name}",
            "fields": [
                {"name": f.name, "type": f.type, "required": f.required} for f in event.fields
            ],
            "rules": [json.loads(json.dumps(_rule(rule))) for rule in event.rules],
        }
        for event in load_preset("market/v1").events
    ]
    return {
        "feed": name,
        "namespace": "tests",
        "source": source,
        "events": events,
        "mapping": None,
        "deadLetterTopic": f"{name}.dead-letters",
        "cursorTopic": f"{name}.cursor",
        "continuity": {"sequenceField": "sequence", "maxGap": None, "backfill": False},
        "session": None,
        "kafka": {"bootstrap.servers": bootstrap},
        "logLevel": "INFO",
        **more,
    }


def _rule(rule: Any) -> dict[str, Any]:
    return {
        "field": rule.field,
        "min": rule.min,
        "max": rule.max,
        "finite": rule.finite,
        "positive": rule.positive,
        "oneOf": list(rule.one_of),
        "pattern": rule.pattern,
    }


def simulated(**more: Any) -> dict[str, Any]:
    """A simulator source."""
    return {"type": "simulator", "symbols": SYMBOLS, "tradesPerSecond": 100, "seed": 5} | more


@dataclass
class Feed:
    """A feed under test: `feed.json`, topics on a broker, a bridge and a simulator."""

    broker: Broker
    home: Path
    host: str
    config: dict[str, Any]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        path = self.home / "feed.json"
        path.write_text(json.dumps(self.config))
        return path

    @property
    def topics(self) -> list[str]:
        return list(dict.fromkeys(event["topic"] for event in self.config["events"]))

    def create_topics(self) -> None:
        large = {"max.message.bytes": str(16 * 1024 * 1024)}
        self.broker.create(
            *(NewTopic(topic, 3, 1) for topic in self.topics),
            NewTopic(self.config["deadLetterTopic"], 2, 1, config=large),
            NewTopic(self.config["cursorTopic"], 1, 1, config={"cleanup.policy": "compact"}),
        )

    def create_dead_letters(self) -> None:
        """Create the dead-letter topic alone."""
        self.broker.create(NewTopic(self.config["deadLetterTopic"], 2, 1))

    def start(self, what: str) -> None:
        """Start `bridge` or `simulator`; its log goes on where it was."""
        env = {**os.environ, "POD_IP": self.host}
        with self.log(what).open("ab") as log:
            self.running[what] = subprocess.Popen(
                [PROGRAM, what, self.file], stdout=log, stderr=log, env=env
            )

    def log(self, what: str) -> Path:
        return self.home / f"{what}.log"

    def stop(self, what: str, number: int = signal.SIGTERM) -> int:
        """End a process; its exit code."""
        process = self.running.pop(what)
        process.send_signal(number)
        return process.wait(30)

    def stop_all(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait(30)
        self.running.clear()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of the bridge's HTTP side; 0 where nothing answers."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:9100{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str, **labels: str) -> float:
        """A number from `/metrics`, 0 while it is not there."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in self.get("/metrics")[1].splitlines():
            series, _, value = line.rpartition(" ")
            if series.startswith(f"tapehouse_feed_{name}{{") and all(w in series for w in wanted):
                return float(value)
        return 0.0

    def logged(self, message: str) -> list[dict[str, Any]]:
        """What the bridge logged under `message`."""
        lines = map(json.loads, self.log("bridge").read_text().splitlines())
        return [line for line in lines if line["message"] == message]

    def memory(self) -> int:
        """The most bytes the bridge has had in memory."""
        status = Path(f"/proc/{self.running['bridge'].pid}/status").read_text()
        [peak] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(peak.split()[1]) * 1024

    def ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def wait_ready(self) -> None:
        eventually(self.ready, 60)

    def records(self) -> list[Message]:
        """Every event record."""
        return [message for topic in self.topics for message in self.broker.records(topic)]

    def dead_letters(self) -> list[Message]:
        return self.broker.records(self.config["deadLetterTopic"])

    def sequences(self) -> Counter[int]:
        """How often each sequence number is in Kafka, dead letters included."""
        numbers: Counter[int] = Counter()
        for message in self.read():
            headers = dict(message.headers() or ())
            if "seq" in headers:
                numbers[int(headers["seq"])] += 1
        return numbers

    def read(self) -> Iterator[Message]:
        """Every record, dead letters included, one after another."""
        for topic in (*self.topics, self.config["deadLetterTopic"]):
            yield from self.broker.read(topic)
