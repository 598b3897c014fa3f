"""Settings are checked for whatever route a handler hangs on."""

import pytest
from tornado.routing import PathMatches, Rule, RuleRouter
from tornado.web import Application, RequestHandler

from tornado_ext._settings import check_settings
from tornado_ext.errors import ConfigurationError
from tornado_ext.middleware import MiddlewareMixin, NotFoundHandler
from tornado_ext.sessions import MemoryStore, SessionMixin


class Handler(SessionMixin, MiddlewareMixin, RequestHandler):
    pass


def test_right_settings_pass() -> None:
    check_settings(Application([("/", Handler)], session_store=MemoryStore(), middleware=[]))


def test_settings_that_no_handler_uses_are_not_looked_at() -> None:
    check_settings(Application([("/", RequestHandler)], session_store="none"))


@pytest.mark.parametrize(
    "application",
    [
        Application([("/", Handler)]),
        Application([("/plain", RequestHandler), ("/", Handler)]),
        Application([Rule(PathMatches("/a.*"), RuleRouter([("/a/b", Handler)]))]),
        Application(default_handler_class=Handler),
    ],
    ids=["route", "second route", "nested router", "default handler"],
)
def test_wrong_setting_is_found(application: Application) -> None:
    with pytest.raises(ConfigurationError, match="the setting 'session_store'"):
        check_settings(application)


def test_wrong_setting_is_found_behind_a_host() -> None:
    application = Application()
    application.add_handlers(r"example\.com", [("/", Handler)])
    with pytest.raises(ConfigurationError, match="the setting 'session_store'"):
        check_settings(application)


def test_wrong_middleware_is_found() -> None:
    application = Application(default_handler_class=NotFoundHandler, middleware=["Timing"])
    with pytest.raises(ConfigurationError, match="the setting 'middleware'"):
        check_settings(application)
