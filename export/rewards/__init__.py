"""Rewards for trainers, one named reward an objective, on a known scale, with one pass of the backbone for all of them.

| trainer | function |
|---|---|
| TRL | `reward_functions`: a list of callables for `reward_funcs` |
| NeMo-RL | `reward_dictionary`: a callable from message logs to `reward/<name>` tensors, for an environment's `step` |
| verl | `verl_scores`: functions to be named in `custom_reward_function` |

OpenRLHF asks a server: `export/server/protocols/openrlhf.py`. docs/trainers.md shows what to write for each.
"""

from export.rewards.message_logs import reward_dictionary
from export.rewards.trl_functions import reward_functions

__all__ = ["reward_dictionary", "reward_functions"]
