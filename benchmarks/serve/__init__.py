"""This project's server beside vLLM's and beside one of transformers and FastAPI: `python -m benchmarks.serve`."""

from benchmarks.serve.figures import table

__all__ = ["table"]
