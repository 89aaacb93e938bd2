"""The kinds of material: their pattern and the colours that they have in the natural palette."""

from __future__ import annotations

from typing import NamedTuple

Rgb = tuple[float, float, float]


class Kind(NamedTuple):
    """A pattern with its repeats per metre, its contrast, and the colours it has in the natural palette (sRGB).

    A pattern blends lighter and darker shades of the colour, by `contrast`; or the colour and one of `others`.
    """

    pattern: str
    repeats_per_m: float
    contrast: float
    colors: tuple[Rgb, ...]
    glow: float = 0.0
    others: tuple[Rgb, ...] = ()


_WOODS: tuple[Rgb, ...] = (
    (176, 128, 82), (142, 96, 58), (98, 64, 42), (205, 166, 118), (226, 222, 212), (214, 198, 172), (70, 52, 42),
    (122, 116, 108), (44, 42, 42), (150, 86, 56), (232, 232, 230), (236, 236, 236), (88, 106, 118), (150, 172, 160),
    (64, 74, 84), (196, 206, 212),
)  # fmt: skip
_CLOTH: tuple[Rgb, ...] = (
    (128, 132, 136), (92, 110, 134), (168, 150, 128), (116, 128, 104), (156, 88, 74), (70, 74, 82), (196, 182, 160),
    (40, 66, 104), (38, 88, 84), (58, 84, 60), (188, 142, 52), (122, 40, 52), (206, 204, 200), (206, 156, 156),
    (96, 78, 112), (44, 46, 50), (150, 176, 188), (92, 74, 62), (62, 92, 140), (70, 120, 112),
    (84, 100, 92), (160, 168, 178),
)  # fmt: skip
_PALE: tuple[Rgb, ...] = ((236, 233, 226), (224, 222, 218), (214, 224, 230), (232, 220, 206))
_PRINTS: tuple[Rgb, ...] = (
    (46, 74, 116), (150, 62, 58), (64, 104, 84), (196, 148, 62), (112, 84, 124), (70, 72, 78), (66, 132, 140),
    (204, 120, 124),
)  # fmt: skip
_DIM: tuple[Rgb, ...] = ((22, 34, 58), (60, 30, 28), (24, 46, 40), (40, 36, 34), (52, 34, 62), (30, 56, 72))
_BRIGHT: tuple[Rgb, ...] = (
    (236, 226, 204), (226, 176, 110), (168, 206, 214), (232, 150, 130), (206, 214, 150), (240, 238, 232),
    (224, 196, 60),
)  # fmt: skip
_POTTERY: tuple[Rgb, ...] = (
    (236, 234, 228), (170, 120, 90), (90, 120, 130), (200, 190, 170), (54, 78, 126), (60, 62, 66), (124, 150, 120),
    (190, 84, 62),
)  # fmt: skip


def _print(pattern: str) -> Kind:
    return Kind(pattern, 1.0, 0.0, _DIM, 0.0, _BRIGHT)


KINDS: dict[str, Kind] = {
    "wood": Kind("wood", 1.6, 0.34, _WOODS),
    "fabric": Kind("fabric", 5.0, 0.2, _CLOTH),
    "fabric_check": Kind("check", 2.4, 0.0, _CLOTH, 0.0, _PALE),
    "fabric_stripes": Kind("cloth_stripes", 2.0, 0.0, _CLOTH, 0.0, _PALE),
    "fabric_floral": Kind("floral", 1.8, 0.0, _CLOTH, 0.0, _PALE),
    "leather": Kind("speckle", 1.5, 0.06, ((96, 58, 38), (46, 40, 38), (150, 100, 64), (120, 44, 40), (206, 196, 180))),
    "linen": Kind("linen", 2.0, 0.12, ((232, 228, 220), (222, 218, 212), (208, 218, 226), (226, 210, 198))),
    "linen_check": Kind("check", 2.4, 0.0, _PALE, 0.0, _PRINTS),
    "linen_stripes": Kind("cloth_stripes", 1.6, 0.0, _PALE, 0.0, _PRINTS),
    "linen_floral": Kind("floral", 1.6, 0.0, _PALE, 0.0, _PRINTS),
    "metal": Kind("plain", 1.0, 0.0, ((150, 152, 156), (96, 98, 102), (176, 150, 100), (38, 38, 40), (214, 214, 214))),
    "plastic": Kind("plain", 1.0, 0.0, ((230, 230, 228), (60, 62, 66), (150, 156, 160), (70, 110, 150), (176, 64, 56))),
    "rubber": Kind("paint", 2.0, 0.06, ((190, 70, 50), (60, 100, 160), (230, 190, 80), (86, 140, 90), (222, 222, 218))),
    "ceramic": Kind("paint", 3.0, 0.05, _POTTERY),
    "clay": Kind("paint", 3.0, 0.16, ((172, 98, 66), (210, 204, 194), (92, 94, 98), (64, 92, 98), (226, 222, 214))),
    "card": Kind("paint", 2.0, 0.14, ((184, 142, 96), (166, 124, 82))),
    "tape": Kind("plain", 1.0, 0.0, ((206, 190, 150),)),
    "wicker": Kind("wicker", 4.0, 0.4, ((186, 148, 98), (140, 104, 66), (206, 200, 190), (92, 92, 92))),
    "leaf": Kind("leaf", 3.0, 0.3, ((70, 118, 54), (54, 98, 58), (96, 132, 60), (58, 88, 72), (128, 150, 96))),
    "soil": Kind("carpet", 6.0, 0.5, ((58, 42, 32),)),
    "dark": Kind("plain", 1.0, 0.0, ((44, 44, 48),)),
    "shade": Kind("linen", 2.0, 0.1, ((236, 222, 192), (222, 210, 190), (230, 228, 224), (200, 206, 196)), 0.55),
    "glow": Kind("plain", 1.0, 0.0, ((255, 240, 205),), 2.2),
    "digit": Kind("plain", 1.0, 0.0, ((90, 210, 120), (220, 60, 50), (120, 190, 240)), 1.2),
    "book_a": Kind("plain", 1.0, 0.0, ((150, 62, 54), (170, 146, 96), (86, 92, 98), (38, 88, 84), (206, 156, 60))),
    "book_b": Kind("plain", 1.0, 0.0, ((62, 84, 120), (70, 96, 78), (186, 180, 166), (112, 48, 60), (44, 46, 52))),
    "book_c": Kind("plain", 1.0, 0.0, ((206, 196, 174), (116, 84, 66), (122, 128, 132), (190, 96, 60), (96, 84, 120))),
    "paper": Kind("plain", 1.0, 0.0, ((236, 234, 226),)),
    "screen": Kind("plain", 1.0, 0.0, ((22, 24, 28), (14, 14, 16), (32, 34, 38))),
    "screen_film": Kind("film", 0.75, 0.0, _DIM, 0.9, _BRIGHT),
    "screen_shore": Kind("shore", 0.7, 0.0, _DIM, 0.8, _BRIGHT),
    "screen_windows": Kind("windows", 1.0, 0.0, _DIM, 0.8, ((230, 234, 240), (244, 242, 238))),
    "enamel": Kind("plain", 1.0, 0.0, ((236, 237, 236), (226, 228, 228))),
    "glass": Kind("plain", 1.0, 0.0, ((48, 78, 52), (86, 58, 34), (120, 146, 150), (54, 84, 128), (182, 196, 190))),
    "steel": Kind("paint", 1.0, 0.06, ((176, 180, 184), (206, 208, 210))),
    "lacquer": Kind(
        "paint",
        2.0,
        0.06,
        (
            (234, 234, 230),
            (92, 108, 104),
            (66, 78, 96),
            (196, 188, 172),
            (150, 158, 146),
            (228, 228, 226),
            (44, 62, 58),
            (178, 192, 198),
            (122, 54, 50),
            (206, 196, 200),
            (52, 52, 56),
        ),
    ),
    "stone": Kind("marble", 1.4, 0.2, ((70, 70, 74), (202, 198, 190), (150, 144, 138), (226, 224, 220), (92, 84, 78))),
    "stone_speckle": Kind("speckle", 1.5, 0.5, ((70, 70, 74), (150, 144, 138), (120, 96, 84), (58, 66, 72))),
    "stone_terrazzo": Kind(
        "terrazzo", 1.5, 0.0, ((206, 202, 196), (150, 150, 150)), 0.0, ((94, 92, 92), (150, 110, 92))
    ),
    "appliance": Kind(
        "plain",
        1.0,
        0.0,
        ((228, 228, 226), (52, 54, 58), (176, 58, 48), (170, 174, 178), (150, 190, 184), (226, 208, 170)),
    ),
    "pan": Kind("plain", 1.0, 0.0, ((60, 62, 66), (170, 172, 176), (150, 60, 48), (52, 84, 110), (190, 128, 92))),
    "fruit": Kind("paint", 6.0, 0.25, ((186, 44, 40), (150, 176, 62), (220, 178, 60))),
    "lotion": Kind("plain", 1.0, 0.0, ((110, 170, 190), (232, 226, 214), (214, 150, 150), (126, 166, 112))),
    "mirror": Kind("mirror", 1.0, 0.0, ((234, 239, 240),)),
    "pane": Kind("plain", 1.0, 0.0, ((190, 212, 214),)),
    "curtain": Kind("linen", 2.0, 0.16, (*_PALE, *_CLOTH)),
    "curtain_stripes": Kind("stripes", 1.6, 0.0, _PALE, 0.0, (*_PRINTS, *_CLOTH)),
    "curtain_floral": Kind("foliage", 1.2, 0.0, _PALE, 0.0, _PRINTS),
    "curtain_trellis": Kind("trellis", 1.6, 0.0, _PALE, 0.0, _CLOTH),
    "clock": Kind("plain", 1.0, 0.0, ((52, 54, 58), (178, 62, 50), (196, 168, 112), (70, 110, 140), (226, 226, 222))),
    "rug": Kind(
        "carpet",
        4.0,
        0.3,
        (
            (168, 88, 72),
            (92, 108, 132),
            (186, 172, 148),
            (106, 116, 100),
            (96, 84, 98),
            (214, 208, 196),
            (44, 62, 88),
            (64, 66, 70),
        ),
    ),
    "rug_kelim": Kind(
        "kelim",
        1.3,
        0.0,
        ((120, 44, 40), (36, 58, 86), (60, 60, 58), (150, 90, 48), (52, 84, 72)),
        0.0,
        ((226, 212, 184), (214, 164, 90), (230, 226, 220)),
    ),
    "rug_medallion": Kind(
        "medallion",
        0.9,
        0.0,
        ((112, 30, 36), (26, 42, 74), (84, 66, 52), (40, 70, 66)),
        0.0,
        ((220, 196, 156), (206, 170, 140), (216, 214, 204)),
    ),
    "rug_trellis": Kind(
        "trellis", 1.2, 0.0, ((206, 200, 190), (70, 84, 104), (80, 80, 80)), 0.0, ((90, 96, 104), (236, 232, 224))
    ),
    "rug_trim": Kind(
        "carpet", 4.0, 0.25, ((222, 212, 194), (66, 66, 74), (196, 160, 110), (52, 78, 112), (128, 52, 50))
    ),
    "coat": Kind(
        "fabric",
        5.0,
        0.2,
        ((58, 72, 96), (120, 56, 52), (92, 92, 66), (176, 148, 108), (38, 38, 42), (60, 110, 116), (196, 150, 50)),
    ),
    "piano": Kind("plain", 1.0, 0.0, ((30, 28, 28), (84, 48, 32), (232, 230, 224))),
    "brass": Kind("plain", 1.0, 0.0, ((196, 160, 84),)),
    "cushion": Kind(
        "fabric",
        5.0,
        0.18,
        (
            (196, 142, 60),
            (70, 108, 116),
            (182, 92, 78),
            (222, 214, 198),
            (92, 96, 120),
            (52, 96, 74),
            (150, 48, 62),
            (46, 66, 120),
            (206, 160, 170),
            (60, 62, 66),
        ),
    ),
    "cushion_check": Kind("check", 4.0, 0.0, _PALE, 0.0, _PRINTS),
    "cushion_stripes": Kind("cloth_stripes", 3.0, 0.0, _PALE, 0.0, _PRINTS),
    "cushion_kelim": Kind("kelim", 2.4, 0.0, _PRINTS, 0.0, _PALE),
    "plush": Kind(
        "carpet", 8.0, 0.3, ((150, 104, 62), (196, 160, 116), (110, 80, 60), (224, 218, 208), (120, 118, 120))
    ),
    "wax": Kind("plain", 1.0, 0.0, ((236, 228, 206), (170, 60, 54), (120, 140, 120), (70, 84, 120))),
    "statue": Kind("paint", 3.0, 0.14, ((222, 216, 204), (70, 72, 76), (176, 140, 76), (150, 92, 66))),
    "skin": Kind("plain", 1.0, 0.0, ((224, 178, 150), (198, 146, 112), (150, 104, 76), (104, 70, 52), (240, 204, 180))),
    "hair": Kind("plain", 1.0, 0.0, ((34, 28, 26), (74, 48, 32), (120, 84, 50), (190, 150, 92), (140, 138, 136))),
    "shirt": Kind(
        "fabric",
        5.0,
        0.14,
        ((60, 90, 140), (170, 60, 58), (230, 228, 222), (70, 120, 90), (40, 42, 48), (214, 168, 60), (130, 96, 150)),
    ),
    "shirt_stripes": Kind("cloth_stripes", 3.0, 0.0, _PALE, 0.0, _PRINTS),
    "trousers": Kind("fabric", 5.0, 0.14, ((46, 60, 92), (40, 40, 44), (120, 104, 80), (96, 98, 100), (70, 78, 58))),
    "banana": Kind("plain", 1.0, 0.0, ((226, 190, 62), (206, 196, 84))),
    "art_sky": Kind(
        "paint", 2.0, 0.1, ((168, 198, 214), (232, 196, 160), (210, 206, 190), (124, 150, 190), (60, 66, 100))
    ),
    "art_hill": Kind(
        "brushed", 2.0, 0.2, ((110, 140, 120), (170, 110, 80), (90, 110, 140), (150, 150, 96), (120, 90, 130))
    ),
    "art_near": Kind("brushed", 2.0, 0.25, ((60, 88, 70), (120, 70, 60), (52, 66, 92), (44, 46, 60), (96, 84, 44))),
    "art_sun": Kind("plain", 1.0, 0.0, ((232, 160, 62), (214, 84, 62), (238, 220, 150), (250, 246, 236))),
    "art_shore": _print("shore"),
    "art_summits": _print("summits"),
    "art_portrait": _print("portrait"),
    "art_shapes": _print("shapes"),
    "art_strokes": _print("strokes"),
    "art_blossoms": Kind(
        "blossoms", 1.0, 0.0, ((44, 58, 66), (96, 50, 60), (48, 76, 56)), 0.0, (*_PALE, (214, 196, 160))
    ),
    "art_poster": Kind("poster", 1.0, 0.0, _DIM, 0.0, _BRIGHT),
}

# Kinds that may take the place of another in the natural palette; one that is repeated is more probable.
_ART = ("art_shore", "art_summits", "art_portrait", "art_shapes", "art_strokes", "art_blossoms", "art_poster")
ALTERNATIVES: dict[str, tuple[str, ...]] = {
    "fabric": (*("fabric",) * 8, "fabric_check", "fabric_stripes", "fabric_floral", "leather", "leather"),
    "linen": (*("linen",) * 3, "linen_check", "linen_stripes", "linen_floral"),
    "curtain": (*("curtain",) * 4, "curtain_stripes", "curtain_floral", "curtain_trellis"),
    "rug": ("rug", "rug", "rug_kelim", "rug_medallion", "rug_medallion", "rug_trellis"),
    "cushion": (*("cushion",) * 4, "cushion_check", "cushion_stripes", "cushion_kelim"),
    "stone": ("stone", "stone_speckle", "stone_terrazzo"),
    "shirt": ("shirt", "shirt", "shirt_stripes"),
    "screen": (*("screen",) * 3, "screen_film", "screen_shore", "screen_windows"),
    "art_hill": ("art_hill", "art_hill", *_ART),
    "art_sky": ("art_sky", "art_sky", "art_shore", "art_strokes"),
}
