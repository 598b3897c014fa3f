"""Serve an application until it is told to stop, and let what it has begun end well."""

from tornado_ext.serving.health import HealthHandler, ReadyHandler
from tornado_ext.serving.start import PortInUse, serve

__all__ = ["HealthHandler", "PortInUse", "ReadyHandler", "serve"]
