# Run it: python mysql_connection.py   (needs tornado-ext[mysql] and mariadb-server)
"""A pool of MySQL connections, lent for a statement each; and one connection, for what needs one.

It starts a private MariaDB; with a server of yours:
python mysql_connection.py 8888 'mysql://user:pw@host/database'
"""

import sys
from contextlib import nullcontext

from tornado.web import Application, RequestHandler

from tornado_ext.mysql import Database, DatabaseMixin
from tornado_ext.serving import serve
from tornado_ext.testing import MariaDBServer


class Pool(DatabaseMixin, RequestHandler):
    async def get(self):  # each statement on any connection that is free; four requests at once fit
        name = self.get_argument("name", "you")
        greeting = await self.db.fetch_value("SELECT CONCAT('hello ', %s)", name)
        self.write({"greeting": greeting, "connections": self.db.stats().open})


class Ranking(DatabaseMixin, RequestHandler):
    async def get(self):  # a temporary table belongs to its connection, which is closed after this
        async with self.db.acquire() as connection:
            await connection.execute("CREATE TEMPORARY TABLE points (name TEXT, points INT)")
            rows = [("ann", 3), ("bob", 5), ("cyd", 4)]
            await connection.executemany("INSERT INTO points VALUES (%s, %s)", rows)
            best = await connection.fetch_all("SELECT * FROM points ORDER BY points DESC LIMIT 2")
        self.write({row.name: row.points for row in best})


def make_app(url):
    database = Database(url, max_size=4)  # connects when it is first asked
    return Application([("/", Pool), ("/ranking", Ranking)], database=database)


def main(port=8888, url=None):
    with nullcontext() if url else MariaDBServer() as server:
        serve(lambda: make_app(url or server.url), int(port))  # closes the pool at the end


if __name__ == "__main__":
    main(*sys.argv[1:])
