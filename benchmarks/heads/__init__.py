"""Fitting the heads compared with other ways: time, memory, and the difference of the results.

    python -m benchmarks.heads --json benchmarks/heads.json                    # all ways side by side
    python -m benchmarks.heads --full-size --json benchmarks/heads-full-size.json
    python -m benchmarks.heads --rows 160000 --workers 2 --json benchmarks/heads-workers.json

The ways: `authors` (190 fits of scikit-learn's `Ridge` on features in memory), `normal_equations` (numpy and scipy as
an engineer would write it for this one question) and `ours`. All read the same shards of one store, each in a process
of its own, by turns; what they import is imported before the clock starts.

With --workers: the same statistics by one process with a thread for each core, and by several with their share of the
threads; then by several of which one is killed when the first sums are saved, and again, which goes on with those.
"""

from benchmarks.heads.markdown import headline, table

__all__ = ["headline", "table"]
