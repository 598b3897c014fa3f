# Run it: python mysql.py 'mysql://user:pw@host/database'   (needs tornado-ext[mysql])
"""Accounts: open one, look at all, move money from one to another or not at all."""

import sys

from tornado.web import Application, HTTPError, RequestHandler

from tornado_ext.mysql import Database, DatabaseMixin, DuplicateKey
from tornado_ext.serving import serve

SCHEMA = """
    CREATE TABLE IF NOT EXISTS accounts (
        name VARCHAR(50) PRIMARY KEY,
        balance BIGINT NOT NULL DEFAULT 0
    ) CHARACTER SET utf8mb4
"""


class BaseHandler(DatabaseMixin, RequestHandler):
    pass


class Accounts(BaseHandler):
    async def get(self):
        rows = await self.db.fetch_all("SELECT name, balance FROM accounts ORDER BY name")
        self.write({row.name: row.balance for row in rows})

    async def post(self):
        sql = "INSERT INTO accounts (name, balance) VALUES (%s, %s)"
        try:
            await self.db.execute(sql, self.get_argument("name"), 100)
        except DuplicateKey:
            raise HTTPError(409, reason="There is such an account") from None
        self.set_status(201)


class Transfer(BaseHandler):
    async def post(self):  # in one transaction, which an error response undoes
        await self.add(self.get_argument("from"), -10)
        await self.add(self.get_argument("to"), 10)

    async def add(self, name, amount):
        sql = "UPDATE accounts SET balance = balance + %s WHERE name = %s"
        if (await self.tx.execute(sql, amount, name)).rowcount == 0:
            raise HTTPError(404, reason="There is no such account")


def make_app(db):
    return Application([("/", Accounts), ("/transfer", Transfer)], database=db)


async def start(url):
    db = Database(url)
    await db.execute(SCHEMA)
    return make_app(db)


def main(url, port=8888):
    serve(lambda: start(url), int(port))  # closes the pool at the end


if __name__ == "__main__":
    main(*sys.argv[1:])
