# Run it: python processes.py   (another port: python processes.py 9000)
"""Several processes on one port: each CPU has a loop, and what they share is not in memory."""

import asyncio
import os
import signal
import sys

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.process import fork_processes, task_id
from tornado.web import Application, RequestHandler

PROCESSES = 2  # 0: as many as there are CPUs
count = 0


class Count(RequestHandler):
    def get(self):
        global count
        count += 1  # of this process alone: sessions, rooms and limits that are shared need Redis
        self.write({"process": task_id(), "pid": os.getpid(), "count": count})


def make_app():
    return Application([("/", Count)])


async def main(sockets):
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = HTTPServer(make_app())
    server.add_sockets(sockets)
    await stop.wait()
    server.stop()
    await server.close_all_connections()


if __name__ == "__main__":
    sockets = bind_sockets(int(sys.argv[1]) if sys.argv[1:] else 8888, "127.0.0.1")
    print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
    fork_processes(PROCESSES)  # before there is an event loop; one that dies is started again
    asyncio.run(main(sockets))
