# Run it: python long_polling.py   (another port: python long_polling.py 9000)
"""Long polling: a request that is answered when there is something to tell, or after 25 seconds."""

import asyncio
import re
import sys

from tornado.web import Application, HTTPError, RequestHandler

from tornado_ext.serving import serve

PATIENCE = 25.0  # seconds; below the 60 after which proxies give up


class News:
    """Messages, numbered from 1, and who waits for the next one."""

    def __init__(self):
        self.messages = []
        self.more = asyncio.Condition()

    async def add(self, text):
        self.messages.append(text)
        async with self.more:
            self.more.notify_all()

    async def after(self, number):
        async with self.more:
            await self.more.wait_for(lambda: len(self.messages) > number)
        return self.messages[number:]


class Messages(RequestHandler):
    waiting = None

    async def get(self):
        after = self.get_argument("after", "0")  # so nothing is missed between two polls
        if not re.fullmatch("[0-9]{1,9}", after):
            raise HTTPError(400, reason="after is the number of a message")
        after = int(after)
        self.waiting = asyncio.ensure_future(self.settings["news"].after(after))
        done, _ = await asyncio.wait([self.waiting], timeout=PATIENCE)
        if self.waiting.cancelled():
            return
        self.waiting.cancel()
        messages = self.waiting.result() if done else []  # nothing yet: ask again
        self.write({"messages": messages, "after": after + len(messages)})

    def on_connection_close(self):
        if self.waiting:
            self.waiting.cancel()  # nobody waits any more

    async def post(self):
        await self.settings["news"].add(self.get_argument("text"))


def make_app():
    return Application([("/messages", Messages)], news=News())


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
