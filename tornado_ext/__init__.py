"""A thin extension layer on stock Tornado: middleware, sessions, forms, MySQL, WebSocket rooms.

Each part is imported from its own package (``from tornado_ext.sessions import SessionMixin``), so
that nobody pays for, or has to install, what he does not use.
"""

__version__ = "0.1.0"
