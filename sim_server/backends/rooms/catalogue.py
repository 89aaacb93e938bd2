"""Every category: the word for it, its shapes, where it stands, and what it may carry."""

from __future__ import annotations

from typing import NamedTuple

from sim_server.backends.rooms.furniture import bedroom, decor, household, seating, small, storage, tables
from sim_server.backends.rooms.furniture.model import Shape

WALL, CORNER, MIDDLE, ANYWHERE, SURFACE = "wall", "corner", "middle", "anywhere", "surface"


class Category(NamedTuple):
    name: str
    shapes: tuple[Shape, ...]
    place: str  # WALL: back against a wall; CORNER; MIDDLE: away from walls; ANYWHERE; SURFACE: only on furniture
    has_front: bool = True
    clearance_m: float = 0.0  # free floor wanted before its front
    rooms: tuple[str, ...] = ()  # kinds of room where it belongs; empty: any
    beside: tuple[str, ...] = ()  # categories that it belongs to, natural palette
    small: bool = False  # may stand on a surface as clutter


_ALL = (
    Category(
        "chair", (seating.dining_chair, seating.upholstered_chair, seating.office_chair), ANYWHERE, True, 0.2,
        (), ("table", "desk"),
    ),
    Category("stool", (seating.stool,), ANYWHERE, False),
    Category("bench", (seating.bench,), WALL, True, 0.3),
    Category("armchair", (seating.armchair,), ANYWHERE, True, 0.4, ("living room", "bedroom")),
    Category("sofa", (seating.sofa, seating.sofa, seating.corner_sofa), WALL, True, 0.5, ("living room",)),
    Category(
        "table", (tables.dining_table, tables.square_table, tables.round_table, tables.trestle_table), MIDDLE, False,
        0.0, ("living room", "kitchen"),
    ),
    Category("coffee table", (tables.coffee_table,), MIDDLE, False, 0.0, ("living room",), ("sofa",)),
    Category("desk", (tables.desk,), WALL, True, 0.7, ("bedroom", "office")),
    Category("nightstand", (tables.nightstand,), WALL, True, 0.3, ("bedroom",), ("bed",)),
    Category("bed", (bedroom.panel_bed, bedroom.box_bed), WALL, True, 0.4, ("bedroom",)),
    Category(
        "bookshelf", (storage.bookshelf, storage.cube_shelf), WALL, True, 0.5, ("living room", "bedroom", "office")
    ),
    Category("cabinet", (storage.cabinet, storage.slatted_cabinet), WALL, True, 0.5),
    Category("dresser", (storage.dresser,), WALL, True, 0.5, ("bedroom",)),
    Category("wardrobe", (storage.wardrobe,), WALL, True, 0.5, ("bedroom",)),
    Category("lamp", (decor.floor_lamp, decor.tripod_lamp), CORNER, False),
    Category("plant", (decor.leafy_plant, decor.bush_plant), CORNER, False),
    Category("ball", (decor.ball, decor.panelled_ball), ANYWHERE, False),
    Category("box", (decor.open_box, decor.crate), ANYWHERE, False),
    Category("basket", (decor.basket,), ANYWHERE, False),
    Category("television", (household.television,), WALL, True, 0.6, ("living room",)),
    Category("fridge", (household.fridge,), WALL, True, 0.5, ("kitchen",)),
    Category("stove", (household.stove,), WALL, True, 0.5, ("kitchen",)),
    Category("washing machine", (household.washing_machine,), WALL, True, 0.4, ("bathroom", "kitchen")),
    Category("toilet", (household.toilet,), WALL, True, 0.4, ("bathroom",)),
    Category("bathtub", (household.bathtub,), WALL, False, 0.0, ("bathroom",)),
    Category("washbasin", (household.washbasin,), WALL, True, 0.4, ("bathroom",)),
    Category("table lamp", (decor.table_lamp,), SURFACE, False, small=True),
    Category("vase", (decor.vase,), SURFACE, False, small=True),
    Category("books", (small.books,), SURFACE, False, small=True),
    Category("cup", (small.cup,), SURFACE, False, small=True),
    Category("bowl", (small.bowl,), SURFACE, False, small=True),
    Category("bottle", (small.bottle,), SURFACE, False, small=True),
    Category("laptop", (small.laptop,), SURFACE, True, small=True),
)  # fmt: skip
CATEGORIES: dict[str, Category] = {c.name: c for c in _ALL}
