"""Branches: the environment inside its wrappers, and a copy of it that trains nothing."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from dataenv.environment.env import TeachingEnv
from dataenv.errors import SettingError

Env = gym.Env[Any, Any]


def fork(env: Env, share_purse: bool = False) -> TeachingEnv:
    """A copy of an environment at this moment, in a new instance that shares store and executor.

    Args:
        env: After a reset; wrappers are left behind.
        share_purse: Whether the branch spends the original's purse (else it starts with a copy). A branch of a branch
            always does.
    """
    origin = unwrap(env)
    snapshot = origin.snapshot()
    branch = TeachingEnv(
        origin.level.name, runner=origin.runner, setting=origin.setting, render_mode=origin.render_mode
    )
    branch._taught = origin._taught  # so that no lesson is read or counted again
    branch.account.join(origin.account)  # before the reset: a branch need not have paid for its student itself
    branch.reset(seed=snapshot.seed, options={"snapshot": snapshot})
    if not share_purse and not origin.account.is_branch:
        branch.account.leave()
    return branch


def unwrap(env: Env) -> TeachingEnv:
    """The TeachingEnv inside any wrappers.

    Raises:
        SettingError: If there is none.
    """
    inner = env.unwrapped
    if not isinstance(inner, TeachingEnv):
        raise SettingError(f"env is a {type(inner).__name__}; give an environment made with gym.make('dataenv/…')")
    return inner
