"""The server that the tests use: MariaDB, or the MySQL that ``MYSQLD`` names."""

import os

from tornado_ext.testing import MariaDBServer

MYSQLD = os.environ.get("MYSQLD")  # the path of a MySQL server's program


class MySQLServer(MariaDBServer):
    """Run a private ``mysqld``. Its accounts log in as MySQL 8's do, and its collation is its own.

    The port of the X protocol is closed.
    """

    start_timeout = 120.0

    def _find_programs(self) -> None:
        super()._find_programs()
        self._program = str(MYSQLD)

    def _install_command(self) -> list[str]:
        return [self._program, *self._flags({"datadir": str(self.data)}), "--initialize-insecure"]

    def _flags(self, options: dict[str, str]) -> list[str]:
        ours = {
            "collation-server": "utf8mb4_0900_ai_ci",
            "mysqlx": "OFF",
            "secure-file-priv": "NULL",
        }
        options = {**options, **ours, **self._options}
        options.pop("innodb-log-file-size", None)  # which MySQL 9 does not know
        return super()._flags(options)


Server = MySQLServer if MYSQLD else MariaDBServer
# MySQL 9 has no account that Tornado-MySQL can log in to.
SCHEMES = ("mysql",) if MYSQLD else ("mysql", "mysql+tornado")


def seq(last: int) -> str:
    """Return a table for a FROM, with the numbers up to the last as ``seq``."""
    array = f"CONCAT('[0', REPEAT(',0', {last - 1}), ']')"
    return f"JSON_TABLE({array}, '$[*]' COLUMNS (seq FOR ORDINALITY)) AS numbers"
