# Run it: python futures.py   (another port: python futures.py 9000)
"""Wait for a Future that something else completes: here, the request of somebody else."""

import asyncio
import sys

from tornado.web import Application, HTTPError, RequestHandler

from tornado_ext.serving import serve


class Ticket(RequestHandler):
    @property
    def waiting(self):
        return self.settings["waiting"]

    async def get(self, number):  # the customer waits; the loop serves others meanwhile
        if number in self.waiting:
            raise HTTPError(409, reason="Somebody waits already")
        future = self.waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self.write({"ready": await asyncio.wait_for(future, 60)})
        except TimeoutError:
            raise HTTPError(504, reason="The kitchen is slow") from None
        finally:
            del self.waiting[number]

    def post(self, number):  # the kitchen is done: from a thread, use loop.call_soon_threadsafe
        future = self.waiting.get(number)
        if future is None or future.done():
            raise HTTPError(404, reason="Nobody waits for this")
        future.set_result(self.get_argument("dish"))


def make_app():
    return Application([("/tickets/([0-9]+)", Ticket)], waiting={})


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
