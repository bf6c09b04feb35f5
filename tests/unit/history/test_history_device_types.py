import pytest

from soundlake.history.device_types import find_device_type


@pytest.mark.parametrize(
    ("platform", "device"),
    [
        ("Android OS 10 API 29 (Google, Pixel 3a)", "mobile"),
        ("android", "mobile"),
        ("iOS 11.2 (iPhone9,3)", "mobile"),
        ("ios", "mobile"),
        ("Android-tablet OS 5.1.1 API 22 (samsung, SM-P600)", "tablet"),
        ("iOS 12.1 (iPad6,11)", "tablet"),
        ("OS X 10.13.0 [x86 8]", "desktop"),
        ("Windows 10 (10.0.14393; x64)", "desktop"),
        ("windows", "desktop"),
        ("Linux [x86-64 0]", "desktop"),
        ("WebPlayer (websocket RFC6455)", "web"),
        ("web_player windows 10;chrome 81.0.4044.138;desktop", "web"),
        ("Partner spotify web_player", "web"),
        ("Partner google cast_tv;Chromecast;;1.24.88007", "tv"),
        ("Partner webos_tv LG;oled", "tv"),
        ("Partner sonos_ppc Sonos;Play1", "speaker"),
        ("Partner SCEI sony_tv;ps4;;", None),
        ("Partner streamunlimited ONKYO;TX-NR686;;", None),
        ("cast", None),
        ("not_applicable", None),
        ("", None),
        (None, None),
    ],
)
def test_a_platform_has_a_device_type_where_it_is_clear(platform, device):
    assert find_device_type(platform) == device
