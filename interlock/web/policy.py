"""What a browser may do with an answer: nothing, save that the report may use what it itself was made of.

The report says in its head, by hash, which scripts and styles it has. The same is said in the header of the answer, so
that it holds from the first byte on, and to it is added what only a header can say: that nobody may frame the page.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["NOTHING", "POLICY", "page_policy"]

POLICY: Final = "content-security-policy"
NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

_HEAD_BYTES: Final = 4_096
_SAID: Final = re.compile(
    rb"<meta http-equiv=\"content-security-policy\" content=\"(default-src 'none';[a-z0-9+/=;' -]{1,1000})\">",
    re.IGNORECASE,
)


def page_policy(html: bytes) -> str:
    """Return the policy of a page: its own, if it has one that begins with nothing at all, or nothing at all."""
    said = _SAID.search(html[:_HEAD_BYTES])
    return NOTHING if said is None else f"{said[1].decode().rstrip('; ')}; frame-ancestors 'none'"
