# Run it: python fetch.py   (another port: python fetch.py 9000)
"""Ask another service without blocking: two questions at once, an answer also when it is down."""

import asyncio
import sys

from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.httputil import url_concat
from tornado.web import Application, RequestHandler

from tornado_ext.serving import serve


class Price(RequestHandler):
    """Stand for the other service, which takes its time."""

    async def get(self):
        await asyncio.sleep(0.05)
        item = self.get_argument("item")
        if item == "gin":
            self.send_error(500)
        else:
            self.write(str(len(item)))


class Total(RequestHandler):
    async def get(self):
        items = self.get_arguments("item")
        async with asyncio.TaskGroup() as group:  # all at once; the loop serves others meanwhile
            tasks = [group.create_task(self.price(item)) for item in items]
        prices = [task.result() for task in tasks]
        self.write({"prices": dict(zip(items, prices, strict=True))})

    async def price(self, item):
        service = self.settings["service"] or f"http://{self.request.host}/price"
        url = url_concat(service, {"item": item})  # quoted
        try:
            response = await AsyncHTTPClient().fetch(url, connect_timeout=1, request_timeout=2)
        except (HTTPClientError, OSError):  # its error, no answer in time, no connection
            return None
        return int(response.body)


def make_app(service=None):
    return Application([("/total", Total), ("/price", Price)], service=service)


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
