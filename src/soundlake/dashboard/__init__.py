"""The dashboard: Streamlit pages on the published snapshot, one file per page in `pages/`.

`entry/app.py` is the script that Streamlit runs, `server.py` says how it is started.
"""

from soundlake.dashboard.page_metrics import watch
from soundlake.dashboard.server import serve

__all__ = ["serve", "watch"]
