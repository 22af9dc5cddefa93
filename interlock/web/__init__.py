"""A read-only web app over one session or the folder of a run (OBS-6); needs the extra ``interlock[web]``."""

from interlock.web.app import create_app

__all__ = ["create_app"]
