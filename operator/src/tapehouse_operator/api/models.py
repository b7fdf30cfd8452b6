"""The kinds as the API server knows them, in the order data flows."""

from tapehouse_operator.api.base import Resource
from tapehouse_operator.api.dashboard import Dashboard
from tapehouse_operator.api.lakehousetable import LakehouseTable
from tapehouse_operator.api.qualitysuite import QualitySuite
from tapehouse_operator.api.streamjob import StreamJob
from tapehouse_operator.api.tradefeed import TradeFeed

MODELS: tuple[type[Resource], ...] = (
    TradeFeed,
    StreamJob,
    LakehouseTable,
    QualitySuite,
    Dashboard,
)
