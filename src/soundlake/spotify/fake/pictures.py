"""Pictures of albums and artists: one coloured square for each id, so that no page has to ask another host."""

from __future__ import annotations

from hashlib import blake2b

from soundlake.spotify.fake.messages import Answer, answer_text

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" fill="hsl({hue} 45% 40%)"/>'
    '<circle cx="32" cy="32" r="{radius}" fill="hsl({other} 60% 70%)"/></svg>'
)


def draw_picture(path: str) -> Answer:
    """The picture at `/image/ID/SIZE`."""
    hue, other, radius = blake2b(path.split("/")[2].encode(), digest_size=3).digest()
    return answer_text(_SVG.format(hue=hue * 360 // 256, other=other * 360 // 256, radius=8 + radius % 16), kind="image/svg+xml")
