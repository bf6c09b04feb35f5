"""Listening from a Spotify account: sign-in, the Web API's answers, history and the player."""
