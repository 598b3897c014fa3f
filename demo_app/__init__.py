"""A login and chat app on tornado-ext, small enough to read in an evening.

``python -m demo_app`` runs it with nothing else to install. Start reading at `demo_app.app`.
"""
