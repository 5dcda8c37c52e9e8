"""Defaults that all runners of a run share, and the options of methods that take them over. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

DonorPolicy = Literal["previous", "template", "isolated"]
StoreDtype = Literal["auto", "int8"]
DEFAULT_RATIO = 0.05  # of methods that compute a given share of the vision tokens
SETTING = "setting"  # key of a field's metadata


@dataclass(frozen=True)
class RunnerDefaults:
    """What all runners of a run share unless their spec says otherwise.

    Attributes:
        recompute_ratio: share of a prompt's vision tokens to compute, or the most that may be; None for each method's
            own default.
        risk: share of answers that a method which estimates its risk may change.
        donor: what stands before a medium when it is stored; None for each method's own default.
        budget_bytes, host_budget_bytes: most bytes that each runner stores on the device and on the host.
        store_dtype: of the keys and values of donors on the host and on disk: the model's own, or 8 bits.
        strict_reuse: whether a request fails when something that should be reused is computed.
        timeout: seconds after which a request to a server is given up.
        api_key_env: environment variable with the key for servers; empty for none.
    """

    recompute_ratio: float | None = None
    risk: float = 0.02
    donor: DonorPolicy | None = None
    budget_bytes: int = 1 << 30
    host_budget_bytes: int = 0
    store_dtype: StoreDtype = "auto"
    strict_reuse: bool = False
    timeout: float = 120.0
    api_key_env: str = ""


def from_setting(setting: str, default: Any = None) -> Any:
    """Declare an option of a method that takes the value of a setting of ``RunnerDefaults``, unless a spec gives it.

    Args:
        default: the method's own, which counts where the setting is None; of a setting with a value it is that.

    Raises:
        ValueError: there is no default.
    """
    value = getattr(RunnerDefaults, setting)
    if value is None and default is None:
        raise ValueError(f"from_setting('{setting}') needs a default of the method's own, such as 'previous'")
    return field(default=default if value is None else value, metadata={SETTING: setting})


def options_by_setting(method: Any) -> dict[str, str]:
    """Find the options of a method, or of its class, that take over a setting: each by the name of its setting."""
    return {option.metadata[SETTING]: option.name for option in fields(method) if SETTING in option.metadata}
