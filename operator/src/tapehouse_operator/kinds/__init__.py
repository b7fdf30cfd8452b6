"""The kinds of resources. `KINDS` is their only list; all else that depends on it is derived.

The order is the way data flows: commands, pages and the console list kinds in it.
"""

from typing import Any

from tapehouse_operator.kinds.contract import Kind
from tapehouse_operator.kinds.dashboard import DashboardKind
from tapehouse_operator.kinds.lakehousetable import LakehouseTableKind
from tapehouse_operator.kinds.qualitysuite import QualitySuiteKind
from tapehouse_operator.kinds.streamjob import StreamJobKind
from tapehouse_operator.kinds.tradefeed import TradeFeedKind

KINDS: tuple[Kind[Any, Any], ...] = (
    TradeFeedKind(),
    StreamJobKind(),
    LakehouseTableKind(),
    QualitySuiteKind(),
    DashboardKind(),
)
