"""Lua scripts on a `Keyspace`, as "Lua API reference" in the documentation of Redis has them."""

from functools import lru_cache
from hashlib import sha1
from typing import Any

from lupa.lua51 import LuaError, LuaRuntime
from redis.exceptions import ResponseError

from tests.sessions.simulation.keyspace import READS, Keyspace, Status

PRELUDE = """
local call, pcall = ...
redis = {call = call, pcall = pcall}
function redis.error_reply(text) return {err = text} end
function redis.status_reply(text) return {ok = text} end
setmetatable(_G, {
  __index = function(_, name) error('access to nonexistent global variable ' .. name) end,
  __newindex = function(_, name) error('attempt to modify global variable ' .. name) end,
})
return function(keys, argv) rawset(_G, 'KEYS', keys) rawset(_G, 'ARGV', argv) end
"""


class Scripts:
    """A Lua that runs the scripts of all servers, one at a time."""

    def __init__(self) -> None:
        self._lua = LuaRuntime(encoding="utf-8", register_eval=False)
        self._set_arguments = self._lua.execute(PRELUDE, self._call, self._pcall)
        self._compiled: dict[str, Any] = {}
        self._keyspace: Keyspace
        self._dirty = False

    def run(self, keyspace: Keyspace, text: str, keys: list[str], *args: str) -> Any:
        """Run a script, and return its reply; raise ResponseError if that is an error."""
        if text not in self._compiled:
            self._compiled[text] = self._lua.compile(text)
        self._keyspace, self._dirty = keyspace, False
        self._set_arguments(self._table(keys), self._table(list(args)))
        try:
            return _reply(self._compiled[text]())
        except LuaError as exc:
            raise ResponseError(f"user_script: {exc}") from exc

    def _call(self, name: str, *args: object) -> Any:
        texts = [arg if type(arg) is str else _argument(arg) for arg in args]
        reply = self._keyspace.run(name, *texts, dirty=self._dirty)
        self._dirty = self._dirty or name.lower() not in READS
        return self._from(reply)

    def _pcall(self, name: str, *args: object) -> Any:
        try:
            return self._call(name, *args)
        except ResponseError as exc:
            return self._lua.table(err=str(exc))

    def _from(self, reply: Any) -> Any:
        if isinstance(reply, Status):
            return self._lua.table(ok=str(reply))
        if isinstance(reply, list):
            return self._table([self._from(item) for item in reply])
        return False if reply is None else reply

    def _table(self, items: list[Any]) -> Any:
        return self._lua.table_from(items)


@lru_cache
def digest(text: str) -> str:
    """Return what EVALSHA knows a script by."""
    return sha1(text.encode(), usedforsecurity=False).hexdigest()


def _argument(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ResponseError("Lua redis lib command arguments must be strings or integers")
    return f"{float(value):.17g}"


def _reply(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return 1 if value else None
    if isinstance(value, (int, float)):
        return int(value)
    if isinstance(value["err"], str):
        raise ResponseError(value["err"])
    if isinstance(value["ok"], str):
        return value["ok"]
    items: list[Any] = []
    while (item := value[len(items) + 1]) is not None:
        items.append(_reply(item))
    return items
