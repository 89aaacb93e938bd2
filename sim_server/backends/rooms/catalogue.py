"""Every category: the word for it, its shapes, where it stands, and what it may carry."""

from __future__ import annotations

from typing import NamedTuple

from sim_server.backends.rooms.furniture import bedroom, decor, seating, storage, tables
from sim_server.backends.rooms.furniture.model import Shape

WALL, CORNER, MIDDLE, ANYWHERE, SURFACE = "wall", "corner", "middle", "anywhere", "surface"


class Category(NamedTuple):
    name: str
    shapes: tuple[Shape, ...]
    place: str  # WALL: back against a wall; CORNER; MIDDLE: away from walls; ANYWHERE; SURFACE: only on furniture
    has_front: bool = True
    clearance_m: float = 0.0  # free floor wanted before its front
    rooms: tuple[str, ...] = ()  # kinds of room where it belongs; empty: any
    carries: bool = False  # small things may stand on it
    small: bool = False  # may stand on a surface as clutter


_ALL = (
    Category("chair", (seating.dining_chair, seating.upholstered_chair, seating.office_chair), ANYWHERE, True, 0.2),
    Category("stool", (seating.stool,), ANYWHERE, False),
    Category("bench", (seating.bench,), WALL, True, 0.3),
    Category("armchair", (seating.armchair,), ANYWHERE, True, 0.4, ("living room", "bedroom")),
    Category("sofa", (seating.sofa, seating.sofa, seating.corner_sofa), WALL, True, 0.5, ("living room",)),
    Category(
        "table", (tables.dining_table, tables.square_table, tables.round_table, tables.trestle_table), MIDDLE, False,
        0.0, ("living room", "kitchen"), True,
    ),
    Category("coffee table", (tables.coffee_table,), MIDDLE, False, 0.0, ("living room",), True),
    Category("desk", (tables.desk,), WALL, True, 0.7, ("bedroom", "study"), True),
    Category("nightstand", (tables.nightstand,), WALL, True, 0.3, ("bedroom",), True),
    Category("bed", (bedroom.panel_bed, bedroom.box_bed), WALL, True, 0.4, ("bedroom",)),
    Category("bookshelf", (storage.bookshelf, storage.cube_shelf), WALL, True, 0.5, ("living room", "bedroom", "study")),
    Category("cabinet", (storage.cabinet,), WALL, True, 0.5, (), True),
    Category("dresser", (storage.dresser,), WALL, True, 0.5, ("bedroom",), True),
    Category("wardrobe", (storage.wardrobe,), WALL, True, 0.5, ("bedroom",)),
    Category("lamp", (decor.floor_lamp, decor.tripod_lamp), CORNER, False),
    Category("plant", (decor.leafy_plant, decor.bush_plant), CORNER, False),
    Category("ball", (decor.ball,), ANYWHERE, False),
    Category("box", (decor.open_box, decor.crate), ANYWHERE, False),
    Category("basket", (decor.basket,), ANYWHERE, False),
    Category("table lamp", (decor.table_lamp,), SURFACE, False, small=True),
    Category("vase", (decor.vase,), SURFACE, False, small=True),
)  # fmt: skip
CATEGORIES: dict[str, Category] = {c.name: c for c in _ALL}
