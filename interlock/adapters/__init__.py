"""Adapters: real brokers behind the ports of ``interlock.ports``. All of them only read.

What they stand on is heavy and belongs to an extra: nothing of it is imported before an adapter is made.
"""

from interlock.adapters.ccxt_reader import CcxtReader
from interlock.adapters.ccxt_settings import CcxtSettings, KeyPlace

__all__ = ["CcxtReader", "CcxtSettings", "KeyPlace"]
