"""The base of methods that reuse keys and values of media, and their donor policy."""

from __future__ import annotations

from dataclasses import dataclass

from runners.defaults import DonorPolicy, from_setting
from runners.engine.method import Method


@dataclass(frozen=True)
class ReuseMethod(Method):
    """A method that reuses keys and values of media.

    Options:
        donor: ``previous``: from the request that first brought the medium; ``template``: computed under the chat
            template alone; ``isolated``: computed with nothing before it. A method whose authors store media in another
            context than ``previous`` declares that as its own default.
    """

    donor: DonorPolicy = from_setting("donor", "previous")

    @property
    def donor_policy(self) -> DonorPolicy:
        """See ``Method``."""
        return self.donor
