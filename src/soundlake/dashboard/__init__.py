"""The dashboard: Streamlit pages on the published snapshot, one file per page in `pages/`.

`server.py` starts Streamlit, which runs the script `entry/app.py` for every visit.
"""

from soundlake.dashboard.page_metrics import record_pages_in
from soundlake.dashboard.server import serve

__all__ = ["record_pages_in", "serve"]
