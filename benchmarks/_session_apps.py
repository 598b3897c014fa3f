"""Apps that keep a session in Redis, each in its framework's way, and the same without a session.

``/new`` fills a session with five small keys, ``/read`` reads one and ``/change`` changes one.
``python -m benchmarks._session_apps NAME URL`` serves one of them.
"""

import asyncio
import json
import secrets
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tornado.web import Application, RequestHandler
from tornado.wsgi import WSGIContainer

from benchmarks._cases import Stock
from benchmarks._servers import listen, serve, until_stdin_ends

FIELDS = {"user_id": 7, "name": "ann", "theme": "dark", "visits": 0, "cart": [1, 2, 3]}
WEEK = 7 * 86400  # seconds


async def tornado(_: str) -> None:
    """Serve stock Tornado."""
    await serve(Application([("/.*", Stock)]))


async def by_hand(url: str) -> None:
    """Serve what is written without a library: a GET, a SET, and JSON."""
    from redis.asyncio import Redis

    client = Redis.from_url(url, decode_responses=True)

    class Handler(RequestHandler):
        async def get(self, path: str) -> None:
            if path == "new":
                key, session = secrets.token_urlsafe(32), dict(FIELDS)
                self.set_cookie("session", key, httponly=True)
            else:
                key = self.get_cookie("session", "")
                session = json.loads(await client.get(f"session:{key}"))
            if path == "change":
                session["visits"] += 1
            if path != "read":
                await client.set(f"session:{key}", json.dumps(session), ex=WEEK)
            self.write(f"hello {session['name']}")

    await serve(Application([("/(.*)", Handler)]))


async def ours(url: str) -> None:
    """Serve with the session of this package."""
    from tornado_ext.sessions.redis import RedisStore

    await _serve_ours(RedisStore(url))


async def sharded(urls: str) -> None:
    """Serve with the session of this package on nodes of a ring, and tell how they are."""
    from tornado_ext.sessions.sharded import ShardedRedisStore

    store = ShardedRedisStore({f"node{n}": url for n, url in enumerate(urls.split())})

    class Health(RequestHandler):
        async def get(self) -> None:
            nodes = await store.health()
            self.write({name: node.state for name, node in nodes.items()})

    await _serve_ours(store, ("/health", Health))


async def _serve_ours(store: Any, *routes: Any) -> None:
    from tornado_ext.sessions import SessionMixin

    class Handler(SessionMixin, RequestHandler):
        def get(self, path: str) -> None:
            if path == "new":
                self.session.update(FIELDS)
            if path == "change":
                self.session["visits"] += 1
            self.write(f"hello {self.session['name']}")

    await serve(Application([*routes, ("/(.*)", Handler)], session_store=store))


async def starlette(_: str) -> None:
    """Serve Starlette."""
    await _serve_asgi(_starlette_app())


async def starsessions(url: str) -> None:
    """Serve Starlette with starsessions."""
    from starlette.middleware import Middleware
    from starsessions import SessionAutoloadMiddleware, SessionMiddleware
    from starsessions.stores.redis import RedisStore

    store = RedisStore(url)
    await _serve_asgi(
        _starlette_app(
            Middleware(SessionMiddleware, store=store, lifetime=WEEK, cookie_https_only=False),
            Middleware(SessionAutoloadMiddleware),
        )
    )


def _starlette_app(*middleware: Any) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    async def answer(request: Request) -> Response:
        return PlainTextResponse(_use(request.path_params["path"], request.session))

    async def hello(_: Request) -> Response:
        return PlainTextResponse("hello")

    endpoint = answer if middleware else hello
    return Starlette(routes=[Route("/{path}", endpoint)], middleware=list(middleware))


async def _serve_asgi(app: Any) -> None:
    from uvicorn import Config, Server

    server = Server(Config(app, log_level="critical", access_log=False, timeout_keep_alive=600))
    serving = asyncio.create_task(server.serve(sockets=[listen()]))
    await until_stdin_ends()
    server.should_exit = True
    await serving


async def aiohttp(_: str) -> None:
    """Serve aiohttp."""
    from aiohttp import web

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    await _serve_aiohttp(hello)


async def aiohttp_session(url: str) -> None:
    """Serve aiohttp with aiohttp-session."""
    from aiohttp import web
    from aiohttp_session import get_session, session_middleware
    from aiohttp_session.redis_storage import RedisStorage
    from redis.asyncio import Redis

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=_use(request.match_info["path"], await get_session(request)))

    storage = RedisStorage(Redis.from_url(url), max_age=WEEK)
    await _serve_aiohttp(answer, session_middleware(storage))


async def _serve_aiohttp(handler: Any, *middlewares: Any) -> None:
    from aiohttp import web

    app = web.Application(middlewares=middlewares)
    app.router.add_get("/{path}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listen()).start()
    await until_stdin_ends()
    await runner.cleanup()


async def django(_: str) -> None:
    """Serve Django, on threads of Tornado's server."""
    from django.http import HttpRequest, HttpResponse

    def hello(_: HttpRequest, **__: str) -> HttpResponse:
        return HttpResponse("hello")

    await _serve_django(hello)


async def django_session(url: str) -> None:
    """Serve Django with its sessions in its Redis cache."""
    from django.http import HttpRequest, HttpResponse

    def answer(request: HttpRequest, path: str) -> HttpResponse:
        return HttpResponse(_use(path, request.session))

    await _serve_django(
        answer,
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        CACHES={
            "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
        },
    )


async def _serve_django(view: Any, **settings: Any) -> None:
    from django import setup
    from django.conf import settings as configured
    from django.core.wsgi import get_wsgi_application
    from django.urls import path

    class Urls:
        urlpatterns = [path("<path>", view)]

    configured.configure(
        ROOT_URLCONF=Urls, ALLOWED_HOSTS=["*"], SECRET_KEY=secrets.token_hex(), **settings
    )
    setup()
    django = get_wsgi_application()

    def app(environ: Any, start_response: Any) -> Any:
        # Django 5.2 puts a space before a cookie, which Tornado 6.6 refuses in a header's value.
        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            stripped = [(name, value.strip()) for name, value in headers]
            return start_response(status, stripped, *exc_info)

        return django(environ, start)

    await serve(WSGIContainer(app, ThreadPoolExecutor(16)))


def _use(path: str, session: Any) -> str:
    if path == "new":
        session.update(FIELDS)
    if path == "change":
        session["visits"] += 1
    return f"hello {session['name']}"


SERVED: dict[str, Callable[[str], Coroutine[Any, Any, None]]] = {
    each.__name__: each
    for each in (
        *(tornado, by_hand, ours, sharded),
        *(starlette, starsessions),
        *(aiohttp, aiohttp_session),
        *(django, django_session),
    )
}

if __name__ == "__main__":
    asyncio.run(SERVED[sys.argv[1]](sys.argv[2]))
