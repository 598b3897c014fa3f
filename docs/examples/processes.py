# Run it: python processes.py   (another port: python processes.py 9000)
"""Several processes on one port: each CPU has a loop, and what they share is not in memory."""

import os
import sys

from tornado.process import task_id
from tornado.web import Application, RequestHandler

from tornado_ext.serving import HealthHandler, ReadyHandler, serve

count = 0


class Count(RequestHandler):
    def get(self):
        global count
        count += 1  # of this process alone: sessions, rooms and limits that are shared need Redis
        self.write({"process": task_id(), "pid": os.getpid(), "count": count})


def make_app():  # called in each process
    return Application(
        [
            ("/", Count),
            ("/healthz", HealthHandler),  # restart a process that does not answer
            ("/readyz", ReadyHandler),  # send nobody to one that says 503
        ]
    )


if __name__ == "__main__":  # one that dies is started again; SIGTERM or Ctrl-C ends all
    serve(make_app, int(sys.argv[1]) if sys.argv[1:] else 8888, processes=2)
