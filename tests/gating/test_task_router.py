"""Which pair set a prompt is most like."""

import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from gating.task_router import TaskRouter


def prompts_of(tasks: int, each: int, apart: float, d: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    centres = apart * torch.randn(tasks, d, generator=random)
    task = torch.arange(tasks).repeat_interleave(each)
    scales = torch.exp(torch.randn(d, generator=random))
    return (centres[task] + torch.randn(len(task), d, generator=random) + 5) * scales, task


def test_new_prompts_go_to_their_own_task() -> None:
    prompts, task = prompts_of(5, 200, apart=2.0)
    router = TaskRouter.fit(prompts[::2], task[::2], 5)
    assert (router.route(prompts[1::2]) == task[1::2]).double().mean() > 0.97


def test_it_is_not_far_behind_discriminant_analysis_with_a_full_covariance() -> None:
    prompts, task = prompts_of(4, 300, apart=0.8)
    full = LinearDiscriminantAnalysis().fit(prompts[::2].double().numpy(), task[::2].numpy())
    expected = full.score(prompts[1::2].double().numpy(), task[1::2].numpy())
    got = (TaskRouter.fit(prompts[::2], task[::2], 4).route(prompts[1::2]) == task[1::2]).double().mean()
    assert 0.75 < expected < 0.999
    assert got > expected - 0.05


def test_where_features_say_nothing_prompts_go_to_the_most_frequent_task() -> None:
    task = torch.tensor([0] * 10 + [1] * 90)
    prompts = torch.full((100, 3), 7.0)
    assert TaskRouter.fit(prompts, task, 2).route(prompts).unique().tolist() == [1]


def test_a_task_without_prompts_is_never_chosen() -> None:
    prompts, task = prompts_of(2, 50, apart=2.0)
    router = TaskRouter.fit(prompts, task * 2, 3)
    assert set(router.route(prompts).tolist()) == {0, 2}
    assert torch.isfinite(router.bias).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_are_routed_alike(dtype: torch.dtype) -> None:
    prompts, task = prompts_of(3, 100, apart=2.0)
    half = prompts.to(dtype)
    assert (TaskRouter.fit(half, task, 3).route(half) == task).double().mean() > 0.97


def test_no_prompts_are_routed_nowhere() -> None:
    prompts, task = prompts_of(2, 20, apart=1.0)
    assert len(TaskRouter.fit(prompts, task, 2).route(prompts[:0])) == 0
