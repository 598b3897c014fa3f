"""A login and chat app on tornado-ext, small enough to read in an evening.

``python -m demo_app`` runs it with nothing else to install. Read it in this order:

- `demo_app.app`: every part of tornado-ext, wired by Tornado's own settings;
- `demo_app.handlers.base`, then ``door``, ``account`` and ``rooms``: sessions and forms at work;
- `demo_app.handlers.chat`, with ``static/chat.js`` beside it: how no message is lost;
- `demo_app.storage.base`, then ``mysql``: what that rests on in the database;
- `demo_app.sessions`: a session store of one's own; `demo_app.limits`: a middleware of one's own;
- `demo_app.config` and `demo_app.full`: from one file to shards, databases and processes.
"""
