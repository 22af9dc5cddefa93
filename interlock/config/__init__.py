"""The configuration: one tree of validated models, and the only reader of files and environment."""

from interlock.config.load import LoadedConfig, load_config
from interlock.config.model import SessionConfig

__all__ = ["LoadedConfig", "SessionConfig", "load_config"]
