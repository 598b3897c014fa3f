"""The database in a handler."""

from tornado.web import Application

from tornado_ext._lifecycle import LifecycleMixin
from tornado_ext.errors import ConfigurationError
from tornado_ext.mysql.database import Database


class DatabaseMixin(LifecycleMixin):
    """Give a handler the database of ``Application(routes, database=Database(url))``."""

    @classmethod
    def _ext_check(cls, application: Application) -> None:
        super()._ext_check(application)
        _database(application)

    @property
    def db(self) -> Database:
        """The ``database`` setting; raises `ConfigurationError` if it is none."""
        return _database(self.application)


def _database(application: Application) -> Database:
    database = application.settings.get("database")
    if not isinstance(database, Database):
        raise ConfigurationError(
            "the Application setting database is not a tornado_ext.mysql.Database"
        )
    return database
