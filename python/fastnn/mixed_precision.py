"""Keras' other names for the policies of `dtype_policies` and `config`."""

from .config import dtype_policy, set_dtype_policy
from .dtype_policies import DTypePolicy

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy

__all__ = ["DTypePolicy", "Policy", "dtype_policy", "global_policy", "set_dtype_policy", "set_global_policy"]
