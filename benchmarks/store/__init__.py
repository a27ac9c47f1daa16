"""The feature store compared with the formats that one would use instead; `python -m benchmarks.store` says how."""

from benchmarks.store.tables import headline, table

__all__ = ["headline", "table"]
