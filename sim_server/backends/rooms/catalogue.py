"""Every category: the word for it, its shapes, where it stands, and what it may carry."""

from __future__ import annotations

from typing import NamedTuple

from sim_server.backends.rooms.furniture import (
    bedroom,
    decor,
    household,
    kitchen,
    living,
    seating,
    small,
    storage,
    tables,
    wall,
)  # fmt: skip
from sim_server.backends.rooms.furniture.model import Shape

WALL, CORNER, MIDDLE, ANYWHERE, SURFACE, HANGING = "wall", "corner", "middle", "anywhere", "surface", "hanging"


class Category(NamedTuple):
    name: str
    shapes: tuple[Shape, ...]
    place: str  # WALL: back against a wall; CORNER; MIDDLE: away from walls; ANYWHERE; SURFACE: only on
    # furniture; HANGING: on a wall
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
    Category("counter", (kitchen.counter,), WALL, True, 0.6, ("kitchen",)),
    Category("sink", (kitchen.sink,), WALL, True, 0.6, ("kitchen",)),
    Category("dishwasher", (kitchen.dishwasher,), WALL, True, 0.6, ("kitchen",)),
    Category("trash can", (kitchen.bin_with_lid, kitchen.swing_bin), CORNER, False, 0.0, ("kitchen", "bathroom")),
    Category("rug", (living.rug, living.rug, living.round_rug), MIDDLE, False, 0.0, ("living room", "bedroom")),
    Category("ottoman", (living.ottoman,), ANYWHERE, False, 0.0, ("living room", "bedroom")),
    Category("coat rack", (living.coat_rack,), CORNER, False, 0.0, ("hallway",)),
    Category("shoe rack", (living.shoe_rack,), WALL, True, 0.3, ("hallway",)),
    Category("piano", (living.piano,), WALL, True, 0.7, ("living room", "dining room")),
    Category("guitar", (living.guitar,), CORNER, True, 0.0, ("living room", "bedroom", "office")),
    Category("fan", (living.fan,), CORNER, True, 0.0, ("living room", "bedroom", "office")),
    Category("crib", (living.crib,), WALL, True, 0.4, ("bedroom",)),
    Category("dog bed", (living.dog_bed,), CORNER, True, 0.0, ("living room", "hallway")),
    Category("laundry basket", (living.laundry_basket,), WALL, False, 0.0, ("bathroom", "bedroom")),
    Category("shower", (living.shower,), WALL, True, 0.5, ("bathroom",)),
    Category("radiator", (wall.radiator,), WALL, True),
    Category("cupboard", (kitchen.cupboard,), HANGING, True, 0.0, ("kitchen",)),
    Category("extractor hood", (kitchen.hood,), HANGING, True, 0.0, ("kitchen",)),
    Category("picture", (wall.landscape_picture, wall.abstract_picture), HANGING),
    Category("mirror", (wall.framed_mirror, wall.round_mirror), HANGING),
    Category("clock", (wall.clock,), HANGING),
    Category("shelf", (wall.wall_shelf, wall.box_shelf), HANGING),
    Category("curtain", (wall.curtain,), HANGING),
    Category("towel", (wall.towel,), HANGING, True, 0.0, ("bathroom",)),
    Category("microwave", (kitchen.microwave,), SURFACE, small=True),
    Category("toaster", (kitchen.toaster,), SURFACE, small=True),
    Category("kettle", (kitchen.kettle,), SURFACE, small=True),
    Category("pot", (kitchen.pot,), SURFACE, False, small=True),
    Category("pan", (kitchen.pan,), SURFACE, False, small=True),
    Category("coffee machine", (kitchen.coffee_machine,), SURFACE, small=True),
    Category("plate", (kitchen.plate,), SURFACE, False, small=True),
    Category("apple", (kitchen.apple,), SURFACE, False, small=True),
    Category("soap", (kitchen.soap,), SURFACE, False, small=True),
    Category("pillow", (small.pillow,), SURFACE, False, small=True),
    Category("teddy bear", (small.teddy_bear,), SURFACE, small=True),
    Category("alarm clock", (small.alarm_clock,), SURFACE, small=True),
    Category("candle", (small.candle,), SURFACE, False, small=True),
    Category("monitor", (small.monitor,), SURFACE, small=True),
    Category("remote control", (small.remote,), SURFACE, False, small=True),
    Category("statue", (small.statue,), SURFACE, False, small=True),
    Category("cactus", (small.cactus,), SURFACE, False, small=True),
    Category("toilet paper", (small.toilet_paper,), SURFACE, False, small=True),
    Category("table lamp", (decor.table_lamp,), SURFACE, False, small=True),
    Category("vase", (decor.vase,), SURFACE, False, small=True),
    Category("books", (small.books,), SURFACE, False, small=True),
    Category("cup", (small.cup,), SURFACE, False, small=True),
    Category("bowl", (small.bowl,), SURFACE, False, small=True),
    Category("bottle", (small.bottle,), SURFACE, False, small=True),
    Category("laptop", (small.laptop,), SURFACE, True, small=True),
)  # fmt: skip
CATEGORIES: dict[str, Category] = {c.name: c for c in _ALL}
