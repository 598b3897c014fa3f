"""Run the app as it would be run in earnest, on servers that start and end with it.

``python -m demo_app.full --port 8888`` starts three Redis shards for sessions, a Redis for rooms,
MariaDB for users and messages, and two processes of the app that share the port.
"""

import sys
from contextlib import ExitStack
from signal import SIGINT

from demo_app.__main__ import PORT_HELP, Parser, run
from demo_app.config import Config
from tornado_ext.errors import TornadoExtError
from tornado_ext.testing import MariaDBServer, RedisServer

SHARDS = ("a", "b", "c")
VICTIM = "b"
GUIDE = """
{list}

1. Open the address below in two browsers, or in one and a private window of it. Register twice,
   and talk in the lobby.
2. Open /internals in one more tab: which shard keeps your session, and which has its replica.
3. Kill any one of the shards, such as

     kill -9 {pid}

   Nobody is logged out and the talk goes on; /internals shows that shard as away.
4. Start it again, with nothing in it:

     redis-server --bind 127.0.0.1 --port {port} --save ''

   /internals shows how the others fill it. When it is ok, kill another one.

Ctrl-C stops all of it.
"""


def main() -> None:
    """Run all of it until Ctrl-C or SIGTERM."""
    parser = Parser(prog="demo_app.full", description="The app on private servers.")
    parser.add_argument("--port", type=int, default=Config.port, help=PORT_HELP)
    parser.add_argument("--database", choices=["mysql", "mysql+tornado"], default="mysql")
    args = parser.parse_args()
    try:
        with ExitStack() as running:
            print("Starting five servers and two processes ...", flush=True)
            shards = {name: running.enter_context(RedisServer()) for name in SHARDS}
            rooms = running.enter_context(RedisServer())
            database = running.enter_context(MariaDBServer())
            print(guide(shards), flush=True)
            run(
                Config(
                    port=args.port,
                    processes=2,
                    sessions=[f"{name}={shard.url}" for name, shard in shards.items()],
                    rooms=rooms.url,
                    database=database.url_of(database.database, args.database),
                )
            )
        print("All stopped.")
    except TornadoExtError as exc:
        sys.exit(f"demo_app.full: {exc}")
    except KeyboardInterrupt:  # before it served
        sys.exit(128 + SIGINT)


def guide(shards: dict[str, RedisServer]) -> str:
    """Return what to do with the shards, and what to look at."""
    lines = [
        f"  session shard {name}  127.0.0.1:{shard.port:<5}  pid {shard.pid}"
        for name, shard in shards.items()
    ]
    victim = shards[VICTIM]
    return GUIDE.format(list="\n".join(lines), pid=victim.pid, port=victim.port)


if __name__ == "__main__":
    main()
