# Run it: python blocking.py   (another port: python blocking.py 9000)
"""What blocking the loop does to everybody else, measured; and three ways to avoid it.

/measure asks for each slow page and tells for how long nobody else could be served meanwhile.
"""

import asyncio
import hashlib
import sys
import time

from tornado.httpclient import AsyncHTTPClient
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler

from tornado_ext.serving import serve

SLOW = 0.3  # seconds
ROUNDS = 400_000  # of a hash that takes about as long; it lets other threads run meanwhile


def work():
    return hashlib.pbkdf2_hmac("sha256", b"password", b"salt", ROUNDS).hex()[:8]


class Blocking(RequestHandler):
    def get(self):
        self.write(work())  # nobody is served until this is done; time.sleep() is as bad


class Awaiting(RequestHandler):
    async def get(self):
        await asyncio.sleep(SLOW)  # waits without holding the loop: so do this package's parts
        self.write("awaited")


class InThread(RequestHandler):
    async def get(self):  # for libraries that block, and C code that lets go of the GIL
        self.write(await IOLoop.current().run_in_executor(None, work))


class InProcess(RequestHandler):
    async def get(self):  # for Python that computes: another process has a GIL of its own
        program = "import hashlib; print(sum(n * n for n in range(3_000_000)))"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
        )
        self.write((await process.communicate())[0])


class Fast(RequestHandler):
    def get(self):
        self.write("fast")


class Measure(RequestHandler):
    async def get(self):
        for path in ("/awaiting", "/thread", "/process", "/blocking"):
            slow = AsyncHTTPClient().fetch(f"http://{self.request.host}{path}")
            pause = await longest_pause(slow)
            self.write(f"{path}: everybody else waited for up to {pause * 1000:.0f} ms\n")
        self.set_header("Content-Type", "text/plain")


async def longest_pause(future):
    """Return for how many seconds at most the loop stood still until ``future`` was done."""
    longest, before = 0.0, time.perf_counter()
    while not future.done():
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - before)
        before = time.perf_counter()
    return longest


def make_app():
    return Application(
        [
            ("/blocking", Blocking),
            ("/awaiting", Awaiting),
            ("/thread", InThread),
            ("/process", InProcess),
            ("/fast", Fast),
            ("/measure", Measure),
        ]
    )


if __name__ == "__main__":
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888)
