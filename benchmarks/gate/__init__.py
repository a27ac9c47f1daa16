"""The gate's training compared with the authors' corrected loop, in one run on the same generated features.

    python -m benchmarks.gate --json benchmarks/gate.json
    python -m benchmarks.gate --quick

Beside the loop as the authors published it are the changes that an engineer would try first: features standardised
by the training rows, stopping by the validation pairs, bfloat16 where the processor multiplies it (see
`benchmarks.gate.authors`). Each way runs in a process of its own, reads the same files, and is judged on the same
10,000 pairs, which nothing has seen. The time of ours is from files to the trained gate, with reading, rewards and
standardising; that of the others begins when all features are in memory in float32, and includes standardising.
"""

from benchmarks.gate.markdown import headline, table

__all__ = ["headline", "table"]
