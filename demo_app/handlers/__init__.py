"""The pages, and the socket of a room."""
