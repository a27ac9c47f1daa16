"""Processes of a Ray cluster that work for `heads.ridge.workers`.

The store and the folder of the run must be on a file system that all machines see. Ray repeats the work of a process
or a machine that dies, on another one.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from cache import UserError
from cache.cores import cores
from cache.ray_cluster import HERE, import_ray, joined, refuse_unreachable
from heads.ridge import segment_worker
from heads.ridge.process_pool import ENDED
from heads.ridge.segment_worker import Job

WITHOUT_RAY = "leave --ray out, which takes processes of this machine"


class RayPool:
    """Ray's tasks, and an actor that counts for them.

    Args:
        count: number of tasks that run at once.
        address: of the cluster, or `HERE`.
        job: facts for each.
        segments: number of segments.
        object_bytes: size of what is sent to the tasks.
    """

    def __init__(self, count: int, address: str, job: Job, segments: int, object_bytes: int) -> None:
        self._count = count
        self._address = address
        self._job = job
        self._segments = segments
        self._object_bytes = object_bytes

    @staticmethod
    def check(address: str) -> None:
        """Refuse what is known to fail, before anything is read.

        Raises:
            UserError: Ray is not installed, or nobody listens at the address.
        """
        import_ray(WITHOUT_RAY)
        refuse_unreachable(address)

    @contextmanager
    def running(self) -> Iterator["RayPool"]:
        """Tasks run within this block.

        Raises:
            UserError: Ray cannot be reached, or gave up a task.
        """
        here = self._address == HERE
        threads = max(1, cores() // self._count)
        with joined(self._address, self._count * threads, self._object_bytes, WITHOUT_RAY) as ray:
            if not here:
                threads = _threads(ray, self._count)
            self._ray = ray
            self._counts = ray.remote(num_cpus=0)(Counts).remote(self._segments)
            self._facts = ray.put(self._job)
            self._task = ray.remote(num_cpus=threads)(work_for)
            self._submitted: list[Any] = []
            try:
                yield self
            except ray.exceptions.RayError:
                raise UserError(ENDED) from None
            finally:
                for reference in self._submitted:
                    ray.cancel(reference, force=True)

    def submit(self, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Let the next free task do some work."""
        reference = self._task.remote(self._facts, self._counts, work.__name__, arguments)
        self._submitted.append(reference)
        return reference.future()

    def done(self) -> Sequence[int]:
        """Number of keys whose rows are added, for each segment."""
        return self._ray.get(self._counts.all.remote())


class Counts:
    """An actor that holds how far each segment is."""

    def __init__(self, segments: int) -> None:
        self._done = [0] * segments

    def set(self, number: int, keys: int) -> None:
        """Note that a segment has its first keys done."""
        self._done[number] = keys

    def all(self) -> list[int]:
        """Keys done, for each segment."""
        return self._done


def work_for(job: Job, counts: Any, work: str, arguments: Sequence[Any]) -> Any:
    """Do a piece of work in a process of the cluster."""
    segment_worker.begin(job, lambda number, keys: counts.set.remote(number, keys))
    return getattr(segment_worker, work)(*arguments)


def _threads(ray: Any, count: int) -> int:
    """CPUs for each task: a share of all, and no more than the smallest machine has."""
    machines = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    smallest = min(filter(None, machines), default=1)
    return max(1, min(sum(machines) // count, smallest))
