"""What a handler tells caches, so that a session can add to it and not contradict it."""

from typing import TYPE_CHECKING, Any

from tornado.web import RequestHandler

if TYPE_CHECKING:
    _Base = RequestHandler
else:
    _Base = object


class CachingMixin(_Base):
    """Note ``Vary`` and ``Cache-Control`` as they are set: Tornado has no way to ask for them."""

    _ext_caching: dict[str, str]

    def clear(self) -> None:
        """Reset all headers, as Tornado does."""
        self._ext_caching = {"vary": "", "cache-control": ""}
        super().clear()

    def set_header(self, name: str, value: Any) -> None:
        """Set a header, as Tornado does."""
        super().set_header(name, value)
        if name.lower() in self._ext_caching:
            self._ext_caching[name.lower()] = str(value)

    def add_header(self, name: str, value: Any) -> None:
        """Add a header, as Tornado does."""
        super().add_header(name, value)
        if name.lower() in self._ext_caching:
            self._ext_caching[name.lower()] += f",{value}"

    def clear_header(self, name: str) -> None:
        """Take a header out, as Tornado does."""
        super().clear_header(name)
        if name.lower() in self._ext_caching:
            self._ext_caching[name.lower()] = ""

    def _ext_vary_on_cookie(self) -> None:
        """Tell caches that the response is for this cookie alone, unless the handler has."""
        if not self._ext_caching["vary"]:
            self.set_header("Vary", "Cookie")
        elif not {"cookie", "*"} & {part.lower() for part in self._ext_said("vary")}:
            self.add_header("Vary", "Cookie")

    def _ext_refuse_shared_caches(self) -> None:
        """Tell caches that the response is for one client, whatever the handler has told them."""
        said = self._ext_said("cache-control")
        names = [part.partition("=")[0].strip().lower() for part in said]
        if not {"private", "no-store"} & set(names):
            shared = {"public", "s-maxage"}
            kept = [part for part, name in zip(said, names, strict=True) if name not in shared]
            self.set_header("Cache-Control", ", ".join([*kept, "private"]))

    def _ext_said(self, name: str) -> list[str]:
        return [part.strip() for part in self._ext_caching[name].split(",") if part.strip()]
