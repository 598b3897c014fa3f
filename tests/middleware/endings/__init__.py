"""Every way in which a response ends, and what each hook of a chain sees of it."""
