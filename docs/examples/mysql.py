# Run it: python mysql.py 'mysql://user:password@127.0.0.1/database'   (another port: ... 9000)
"""Accounts: open one, look at all, move money from one to another or not at all."""

import asyncio
import sys

from tornado.web import Application, HTTPError, RequestHandler

from tornado_ext.mysql import Database, DatabaseMixin, DuplicateKey

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


async def main(url, port=8888):
    db = Database(url)
    await db.execute(SCHEMA)
    make_app(db).listen(port, "127.0.0.1")
    print(f"http://127.0.0.1:{port}")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
