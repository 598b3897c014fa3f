"""Write docs/endings.md anew: ``python -m tests.middleware.endings``."""

from tests.middleware.endings.page import PAGE, page

PAGE.write_text(page())
