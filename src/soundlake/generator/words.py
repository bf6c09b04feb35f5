"""The words that made-up names are made of, by script."""

from __future__ import annotations

ADJECTIVES = (
    "Amber Silent Velvet Hollow Electric Paper Golden Distant Crimson Lunar Wild Broken Slow Neon Quiet Burning Second Winter Salt Glass "
    "Northern Lost Blue Feral Hidden Copper Restless Tender Static Marble Summer Iron Pale Secret Violet Midnight Hungry Little Endless Early"
).split()
NOUNS = (
    "Harbor Foxes Parade Echo Orchard Engine Lanterns Tide Cathedral Signal Garden Wolves Avenue Mirror Static Meadow Satellites Ghost Choir "
    "River Empire Circus Atlas Thunder Letters Machine Sparrow Canyon Motel Horizon Falcon Dynasty Island Compass Embers Radio Season Anthem "
    "Window Pilots"
).split()
GIVEN_NAMES = (
    "Mara Jonas Elif Theo Ines Kofi Noor Luca Saoirse Dario Freya Tariq Yuki Amara Nils Paloma Ravi Zola Marek Lucía Björn Aoife Mateus Chloé "
    "İpek Søren Agnieszka João Thuý Zuzana"
).split()
FAMILY_NAMES = (
    "Vale Okafor Lindqvist Marchetti Haddad Sørensen Castellanos Novak Adeyemi Brandt Ferreira Kowalczyk Yamane Delacroix Whitlock Aydın Mwangi "
    "Petrov Solheim Arroyo Nguyễn Ó-Briain Šimić Gonçalves"
).split()
VERBS = "Hold Follow Forget Remember Carry Chase Leave Find Trade Burn Paint Call Miss Break Keep Waste Dream Count Save Steal".split()
THINGS = (
    "the Morning|Your Shadow|the Lights|My Number|the Ocean|a Fire|Tomorrow|the Highway|Every Summer|Your Name|the Silence|Old Photographs|"
    "the Radio|a Stranger|These Hands|the Weekend|Nobody's Home|the Rain"
).split("|")

ARTISTS_BY_SCRIPT: dict[str, tuple[list[str], list[str]]] = {
    "cyrillic": ("Тихий Северный Чёрный Летний Белый Городской Вечерний".split(), "Берег Оркестр Трамвай Сигнал Ветер Голос Маяк".split()),
    "greek": ("Μπλε Σιωπηλός Χρυσός Μακρινός".split(), "Ουρανός Κήπος Δρόμος Φάρος".split()),
    "japanese": ("青い 夜の 静かな 遠い 白い".split(), "電車 海岸 花火 星座 図書館 金魚".split()),
    "korean": ("푸른 새벽의 조용한 여름".split(), "바다 정거장 고양이 편지 별빛".split()),
    "chinese": ("南方 午夜 白色 远方".split(), "列车 花园 海鸥 来信 灯塔".split()),
    "arabic": ("ليل صوت قمر بحر".split(), "المدينة الصحراء الياسمين الشتاء".split()),
    "hebrew": ("אור קול רחוב גשם".split(), "הלילה הים ירושלמי ראשון".split()),
    "devanagari": ("नीला शांत पुराना सुनहरा".split(), "आकाश शहर सफ़र बादल".split()),
    "thai": ("ฝน ดาว ทะเล".split(), "กลางคืน สีเงิน เดือนห้า".split()),
}
TITLES_BY_SCRIPT: dict[str, tuple[list[str], list[str]]] = {
    "cyrillic": ("Последний Мой Первый Долгий".split(), "Поезд Снег Рассвет Звонок Июль".split()),
    "greek": ("Χωρίς Μόνο Πάντα".split(), "Εσένα Θάλασσα Νύχτα".split()),
    "japanese": ("さよなら 夏の 君の 真夜中の".split(), "手紙 約束 メロディー 坂道 ひかり".split()),
    "korean": ("너의 마지막 우리의".split(), "노래 계절 밤 약속".split()),
    "chinese": ("昨天的 你的 最后的".split(), "夏天 歌 雨 车站".split()),
    "arabic": ("يا آخر بلا".split(), "حبيبي ليلة عنوان قلب".split()),
    "hebrew": ("שיר עוד בלי".split(), "אחרון לילה סוף בוקר".split()),
    "devanagari": ("मेरा वो पहली".split(), "सपना बारिश रात गीत".split()),
    "thai": ("คิดถึง รอ ลืม".split(), "เธอ ฝน เมื่อวาน".split()),
}
WITHOUT_SPACES = ("japanese", "chinese", "thai")
EMOJI = "🌙 🔥 🌊 💔 ✨ 🪩 🌵 🦋".split()
VERSIONS = ("", "", "", "", "", "", "", " - Live", " - Remastered 2011", " (feat. {guest})", " - Acoustic", " - Radio Edit", " {emoji}")

GENRES: dict[str, tuple[str, ...]] = {
    "pop": ("dance pop", "indie pop", "synth pop", "teen pop", "art pop"),
    "rock": ("classic rock", "alternative rock", "hard rock", "garage rock", "post-rock"),
    "hip hop": ("trap", "boom bap", "drill", "conscious hip hop", "cloud rap"),
    "electronic": ("house", "techno", "drum and bass", "trance", "ambient"),
    "latin": ("reggaeton", "salsa", "bachata", "cumbia", "latin pop"),
    "r&b": ("neo soul", "contemporary r&b", "funk", "quiet storm"),
    "jazz": ("bebop", "smooth jazz", "vocal jazz", "jazz fusion"),
    "classical": ("baroque", "romantic era", "minimalism", "film score"),
    "metal": ("heavy metal", "black metal", "metalcore", "doom metal"),
    "folk": ("singer-songwriter", "indie folk", "bluegrass", "celtic"),
    "asian pop": ("k-pop", "j-pop", "mandopop", "city pop"),
    "world": ("afrobeats", "arabic pop", "turkish pop", "bollywood", "fado"),
}
HOME_SCRIPT = {
    "k-pop": "korean", "j-pop": "japanese", "mandopop": "chinese", "city pop": "japanese", "arabic pop": "arabic", "bollywood": "devanagari",
}  # fmt: skip
