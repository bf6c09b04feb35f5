"""The script that Streamlit runs, in a folder of its own: it would take a `pages/` beside its script for scripts to run, too."""
