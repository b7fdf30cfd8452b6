"""The closed sets of words a condition may use, each with what it means."""

from enum import StrEnum
from typing import Self


class Documented(StrEnum):
    """A closed set of words, each of which explains itself by `doc`."""

    doc: str

    def __new__(cls, value: str, doc: str) -> Self:
        """A member that is its word and carries `doc`."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.doc = doc
        return member

    @classmethod
    def of(cls, word: str) -> Self:
        """The member that is spelt `word`."""
        return next(member for member in cls if member.value == word)


class ConditionType(Documented):
    """What `status.conditions[].type` may be."""

    ACCEPTED = "Accepted", "The newest spec is valid and is what runs; False keeps the last one."
    READY = "Ready", "Everything declared is there and working: what `kubectl wait` waits for."
    PROGRESSING = "Progressing", "A change is being rolled out."
    DEGRADED = "Degraded", "Something that worked does not work now."
    DRIFTED = "Drifted", "A child was changed by somebody else."
    STALLED = "Stalled", "Nothing will move on until a person acts."

    TOPICS_READY = "TopicsReady", "TradeFeed: every topic exists with the declared settings."
    SCHEMA_COMPATIBLE = "SchemaCompatible", "TradeFeed: the event schemas keep their promise."
    CONNECTED = "Connected", "TradeFeed: the ingest workload is connected to its source."
    CONTINUOUS = "Continuous", "TradeFeed: no sequence number is missing."
    DELIVERING = "Delivering", "TradeFeed: what the source sends becomes events, as declared."

    RUNNING = "Running", "StreamJob: the Flink job runs."
    CAUGHT_UP = "CaughtUp", "StreamJob: the job has read its inputs to their ends."
    STATE_RESTORABLE = "StateRestorable", "StreamJob: a checkpoint or savepoint to resume from."
    COMMIT_STALLED = "CommitStalled", "StreamJob: checkpoints complete but no table is committed."
    ANALYSIS_PASSED = "AnalysisPassed", "StreamJob: the candidate's own data passed its analysis."

    SCHEMA_IN_SYNC = "SchemaInSync", "LakehouseTable: the Iceberg table is as declared."
    COMMIT_FRESH = "CommitFresh", "LakehouseTable: the newest commit is within the SLA."
    MAINTENANCE_HEALTHY = "MaintenanceHealthy", "LakehouseTable: compaction and expiry keep up."
    PUBLISHED = "Published", "LakehouseTable: readers of `main` see the newest checked snapshot."

    PASSING = "Passing", "QualitySuite: no blocking expectation failed in the last run."
    LAST_RUN_COMPLETED = "LastRunCompleted", "QualitySuite: the last run came to an end."

    DATASETS_RESOLVED = "DatasetsResolved", "Dashboard: every dataset names an existing table."
    SCHEMA_MATCHED = "SchemaMatched", "Dashboard: every charted column exists in its table."
    IMPORTED = "Imported", "Dashboard: every provider shows the newest version."


ABNORMAL = frozenset(
    {
        ConditionType.PROGRESSING,
        ConditionType.DEGRADED,
        ConditionType.DRIFTED,
        ConditionType.STALLED,
        ConditionType.COMMIT_STALLED,
    }
)
"""Conditions whose True is not the normal state of rest; they never count towards Ready."""


class Reason(Documented):
    """What `status.conditions[].reason` may be."""

    # The normal course
    ACCEPTED = "Accepted", "The spec is valid and is what runs."
    READY = "Ready", "It is there and works."
    RECONCILED = "Reconciled", "Everything declared has been applied and nothing is under way."
    PROGRESSING = "Progressing", "Applied; waiting until it works."
    SUSPENDED = "Suspended", "Stopped by `spec.suspend`; set it to false to go on."
    DELETING = "Deleting", "The resource is being deleted as `spec.deletionPolicy` says."
    CHECKING = "Checking", "The SQL is being planned by Flink; the old revision runs meanwhile."
    UNKNOWN = "Unknown", "Not observed yet."

    # The author must mend the spec
    INVALID = "Invalid", "A value is not acceptable; the message says what would be."
    UNKNOWN_FIELD = "UnknownField", "No such field; the message names the nearest ones."
    MISSING_FIELD = "MissingField", "A required field is not set."
    IMMUTABLE = "Immutable", "The field cannot change; make a new resource instead."
    ACKNOWLEDGEMENT_REQUIRED = (
        "AcknowledgementRequired",
        "The change loses something; name the loss in `spec.acknowledge` to agree.",
    )
    UNKNOWN_PRESET = "UnknownPreset", "No event preset of that name is shipped."
    UNKNOWN_EVENT = "UnknownEvent", "The feed declares no event of that name."
    UNKNOWN_COLUMN = "UnknownColumn", "The table or event has no column of that name."
    INVALID_TYPE = "InvalidType", "Not a type of the Iceberg grammar."
    INVALID_SQL = "InvalidSql", "Flink or DuckDB cannot plan the statement."
    INCOMPATIBLE_SCHEMA = "IncompatibleSchema", "The events change beyond `schema.compatibility`."
    INCOMPATIBLE_CHANGE = "IncompatibleChange", "The table cannot change that way in place."
    DESTRUCTIVE_CHANGE = "DestructiveChange", "Data would be lost; see `spec.evolution`."
    TOPIC_TAKEN = "TopicTaken", "Another resource owns the topic."
    TABLE_TAKEN = "TableTaken", "Another resource owns the table."
    NAME_TAKEN = "NameTaken", "Another resource owns a child of that name."
    UNSUPPORTED = "Unsupported", "Valid, but this version cannot do it; the message says what can."

    # Something else is not there yet
    SETTINGS_MISSING = "SettingsMissing", "The namespace lacks ConfigMap `tapehouse-platform`."
    FEED_NOT_FOUND = "FeedNotFound", "No TradeFeed of that name in this namespace."
    TABLE_NOT_FOUND = "TableNotFound", "No LakehouseTable declares that identifier."
    TOPIC_NOT_FOUND = "TopicNotFound", "No KafkaTopic of that name in this namespace."
    JOB_NOT_FOUND = "JobNotFound", "No StreamJob of that name in this namespace."
    SUITE_NOT_FOUND = "SuiteNotFound", "No QualitySuite of that name in this namespace."
    REFERENCE_NOT_FOUND = "ReferenceNotFound", "The ConfigMap or Secret key does not exist."
    KAFKA_NOT_FOUND = "KafkaNotFound", "The settings' Kafka cluster does not exist."
    KAFKA_NOT_READY = "KafkaNotReady", "The Kafka cluster is not ready."
    FEED_NOT_READY = "FeedNotReady", "An input feed is not accepted yet."
    TABLE_NOT_READY = "TableNotReady", "An output table is not in sync yet."
    CONSUMERS_UNKNOWN = "ConsumersUnknown", "Not all that may read it has been looked at yet."
    CATALOG_UNAVAILABLE = "CatalogUnavailable", "The Iceberg catalog does not answer."
    CHILDREN_NOT_READY = "ChildrenNotReady", "A child is not ready; see `status.children`."
    NOT_ACCEPTED = "NotAccepted", "No revision of the resource has been accepted."

    # The children tell
    TOPICS_READY = "TopicsReady", "Every topic is as declared."
    TOPICS_NOT_READY = "TopicsNotReady", "A topic is not there or not as declared."
    COMPATIBLE = "Compatible", "The event schemas keep their promise."
    CONNECTED = "Connected", "The workload is connected."
    NOT_CONNECTED = "NotConnected", "The workload is not ready; see its Pod and its logs."
    FEED_SILENT = "FeedSilent", "Nothing has come for too long while the market is open."
    SOURCE_FAILED = "SourceFailed", "The source brings nothing; the message has cause and remedy."
    DELIVERING = "Delivering", "What the source sends becomes events, or is left out as declared."
    NO_EVENT = "NoEvent", "No event has ever come; the message says why."
    DEAD_LETTERS = "DeadLetters", "Frames became dead letters since the workload started."
    NUMBERS_CONFLICT = "NumbersConflict", "Events were dropped for a number that another one has."
    BACK_PRESSURE = "BackPressure", "Reading is stopped until Kafka takes what was read."
    CONTINUOUS = "Continuous", "No sequence number is missing."
    GAP_OPEN = "GapOpen", "Sequence numbers are missing and have not been filled."
    RUNNING = "Running", "The job runs."
    NOT_RUNNING = "NotRunning", "The job does not run; see the FlinkDeployment."
    JOB_FAILED = "JobFailed", "The job failed; see the FlinkDeployment's error."
    STATE_INCOMPATIBLE = (
        "StateIncompatible",
        "The state of the job cannot be used by its new SQL; roll back.",
    )
    STARTING = "Starting", "The job or workload is being started."
    UPGRADING = "Upgrading", "The job restarts from a savepoint."
    CAUGHT_UP = "CaughtUp", "The inputs have been read to their ends."
    LAGGING = "Lagging", "Unread input is left."
    RESTORABLE = "Restorable", "There is a checkpoint to resume from."
    NO_CHECKPOINT = "NoCheckpoint", "No checkpoint has completed yet."
    COMMITTING = "Committing", "Checkpoints and commits keep pace."
    COMMIT_STALLED = "CommitStalled", "Checkpoints complete but no table is committed."
    ANALYSIS_PASSED = "AnalysisPassed", "The candidate's data passed."
    ANALYSIS_FAILED = "AnalysisFailed", "The candidate's data did not pass; it was aborted."
    IN_SYNC = "InSync", "The table is as declared."
    OUT_OF_SYNC = "OutOfSync", "The table is not as declared yet."
    FRESH = "Fresh", "The newest commit is recent enough."
    STALE = "Stale", "The newest commit is older than the SLA."
    HEALTHY = "Healthy", "Nothing to repair."
    MAINTENANCE_FAILED = "MaintenanceFailed", "Compaction, expiry or orphan removal failed."
    PUBLISHED = "Published", "`main` is at the newest checked snapshot."
    NOT_PUBLISHED = "NotPublished", "Nothing has been published to `main` yet."
    PUBLISH_FAILED = "PublishFailed", "`main` could not be moved; the message says why."
    CHECKS_FAILED = "ChecksFailed", "A blocking check failed; `main` stays where it is."
    NO_RUN = "NoRun", "The suite has not run yet."
    PASSING = "Passing", "No blocking expectation failed."
    COMPLETED = "Completed", "The run came to an end."
    RUN_FAILED = "RunFailed", "The run itself failed; the message says why."
    RESOLVED = "Resolved", "Everything named exists."
    MATCHED = "Matched", "Charts and tables agree."
    MISMATCHED = "Mismatched", "A chart names a column its table lacks."
    IMPORTED = "Imported", "Every provider shows the newest version."
    IMPORT_FAILED = "ImportFailed", "A provider refused the dashboard."

    # Trouble
    DRIFTED = "Drifted", "A child differs from what is declared; see `spec.driftPolicy`."
    NO_DRIFT = "NoDrift", "The children are as declared."
    APPLY_FAILED = "ApplyFailed", "The API server refused a child; the message is its own."
    DELETE_FAILED = "DeleteFailed", "What the resource owns could not be removed in time."
    CHILD_FAILED = "ChildFailed", "A child reports a failure of its own."
    INTERNAL_ERROR = "InternalError", "A defect of the operator; its log has the details."
    STUCK = "Stuck", "A release failed after its cut-over and waits for a person."


class EventReason(Documented):
    """Reasons of Events that are no condition's."""

    REVISION_CREATED = "RevisionCreated", "A changed spec was accepted and is what runs now."
    ROLLED_BACK = "RolledBack", "The spec of an older revision was accepted again."
