"""Every setting of an application checked before it starts, not by its first visitor."""

from collections.abc import Iterator
from typing import Any

from tornado.web import Application

from tornado_ext._lifecycle import LifecycleMixin


def check_settings(application: Application) -> None:
    """Check the settings that the handlers of ``application`` use.

    `tornado_ext.serving.serve` does it. Where nobody does, a wrong setting shows in the first
    request that meets it.

    :raises ConfigurationError: naming the first setting that can't be right.
    """
    for handler in _handler_classes(application):
        if issubclass(handler, LifecycleMixin):
            handler._ext_check(application)


def _handler_classes(application: Application) -> Iterator[type]:
    for name in ("default_handler_class", "static_handler_class"):
        if isinstance(handler := application.settings.get(name), type):
            yield handler
    routers: list[Any] = [application.default_router]
    while routers:
        for rule in routers.pop().rules:
            if isinstance(rule.target, type):
                yield rule.target
            elif hasattr(rule.target, "rules"):
                routers.append(rule.target)
