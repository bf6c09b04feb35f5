"""The script that Streamlit runs. It has a folder of its own: Streamlit would run a `pages/` folder beside it as scripts, too."""
