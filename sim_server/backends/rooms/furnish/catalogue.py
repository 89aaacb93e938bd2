"""Every category: the word for it, its shapes, where it stands, and what it may carry."""

from __future__ import annotations

from typing import NamedTuple

from sim_server.backends.rooms.furniture import (
    bathroom,
    bedroom,
    decor,
    hall,
    household,
    kitchen,
    living,
    seating,
    small,
    storage,
    tables,
    tableware,
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
    Category("stool", (seating.stool, seating.square_stool), ANYWHERE, False),
    Category("bench", (seating.bench, seating.padded_bench), WALL, True, 0.3),
    Category("armchair", (seating.armchair, seating.wooden_armchair), ANYWHERE, True, 0.4, ("living room", "bedroom")),
    Category("sofa", (seating.sofa, seating.sofa, seating.corner_sofa), WALL, True, 0.5, ("living room",)),
    Category(
        "table", (tables.dining_table, tables.square_table, tables.round_table, tables.trestle_table), MIDDLE, False,
        0.0, ("living room", "kitchen"),
    ),
    Category("coffee table", (tables.coffee_table,), MIDDLE, False, 0.0, ("living room",), ("sofa",)),
    Category("desk", (tables.desk, tables.legged_desk), WALL, True, 0.7, ("bedroom", "office")),
    Category("nightstand", (tables.nightstand, tables.open_nightstand), WALL, True, 0.3, ("bedroom",), ("bed",)),
    Category("bed", (bedroom.panel_bed, bedroom.box_bed), WALL, True, 0.4, ("bedroom",)),
    Category(
        "bookshelf", (storage.bookshelf, storage.cube_shelf), WALL, True, 0.5, ("living room", "bedroom", "office")
    ),
    Category("cabinet", (storage.cabinet, storage.slatted_cabinet), WALL, True, 0.5),
    Category("dresser", (storage.dresser,), WALL, True, 0.5, ("bedroom",)),
    Category(
        "wardrobe", (storage.wardrobe, storage.sliding_wardrobe, storage.panelled_wardrobe), WALL, True, 0.5,
        ("bedroom",),
    ),
    Category("lamp", (decor.floor_lamp, decor.tripod_lamp), CORNER, False),
    Category("plant", (decor.leafy_plant, decor.bush_plant), CORNER, False),
    Category("ball", (decor.ball, decor.panelled_ball), ANYWHERE, False),
    Category("box", (decor.open_box, decor.crate), ANYWHERE, False),
    Category("basket", (decor.basket, hall.square_basket), ANYWHERE, False),
    Category("television", (household.television, household.tall_television), WALL, True, 0.6, ("living room",)),
    Category("fridge", (household.fridge, household.round_fridge), WALL, True, 0.5, ("kitchen",)),
    Category("stove", (household.stove, household.gas_stove), WALL, True, 0.5, ("kitchen",)),
    Category(
        "washing machine", (household.washing_machine, household.top_loader), WALL, True, 0.4, ("bathroom", "kitchen")
    ),
    Category("toilet", (bathroom.toilet, bathroom.wall_toilet), WALL, True, 0.4, ("bathroom",)),
    Category("bathtub", (bathroom.bathtub, bathroom.freestanding_tub), WALL, False, 0.0, ("bathroom",)),
    Category("washbasin", (bathroom.washbasin, bathroom.vanity), WALL, True, 0.4, ("bathroom",)),
    Category("counter", (kitchen.counter, kitchen.panelled_counter), WALL, True, 0.6, ("kitchen",)),
    Category("sink", (kitchen.sink, kitchen.ceramic_sink), WALL, True, 0.6, ("kitchen",)),
    Category("dishwasher", (kitchen.dishwasher, kitchen.built_in_dishwasher), WALL, True, 0.6, ("kitchen",)),
    Category("trash can", (kitchen.bin_with_lid, kitchen.swing_bin), CORNER, False, 0.0, ("kitchen", "bathroom")),
    Category("rug", (living.rug, living.rug, living.round_rug), MIDDLE, False, 0.0, ("living room", "bedroom")),
    Category("ottoman", (living.ottoman,), ANYWHERE, False, 0.0, ("living room", "bedroom")),
    Category("coat rack", (living.coat_rack, hall.clothes_rail), CORNER, False, 0.0, ("hallway",)),
    Category("shoe rack", (living.shoe_rack, hall.shoe_cabinet), WALL, True, 0.3, ("hallway",)),
    Category("piano", (living.piano, hall.digital_piano), WALL, True, 0.7, ("living room", "dining room")),
    Category("guitar", (living.guitar, hall.electric_guitar), CORNER, True, 0.0, ("living room", "bedroom", "office")),
    Category("fan", (living.fan, hall.tower_fan), CORNER, True, 0.0, ("living room", "bedroom", "office")),
    Category("crib", (living.crib, hall.panel_crib), WALL, True, 0.4, ("bedroom",)),
    Category("dog bed", (living.dog_bed, hall.bolster_bed), CORNER, True, 0.0, ("living room", "hallway")),
    Category("laundry basket", (living.laundry_basket, hall.laundry_bag), WALL, False, 0.0, ("bathroom", "bedroom")),
    Category("shower", (bathroom.glass_shower, bathroom.curtain_shower), WALL, True, 0.5, ("bathroom",)),
    Category("radiator", (wall.radiator, hall.panel_radiator), WALL, True),
    Category("cupboard", (kitchen.cupboard, kitchen.open_cupboard), HANGING, True, 0.0, ("kitchen",)),
    Category("extractor hood", (kitchen.hood, kitchen.slanted_hood), HANGING, True, 0.0, ("kitchen",)),
    Category("picture", (wall.landscape_picture, wall.abstract_picture, wall.framed_photos), HANGING),
    Category("mirror", (wall.framed_mirror, wall.round_mirror), HANGING),
    Category("clock", (wall.clock, wall.square_clock), HANGING),
    Category("shelf", (wall.wall_shelf, wall.box_shelf), HANGING),
    Category("curtain", (wall.curtain, wall.roller_blind), HANGING),
    Category("towel", (wall.towel, wall.towel_ring), HANGING, True, 0.0, ("bathroom",)),
    Category("microwave", (kitchen.microwave, tableware.dial_microwave), SURFACE, small=True),
    Category("toaster", (kitchen.toaster, tableware.long_toaster), SURFACE, small=True),
    Category("kettle", (kitchen.kettle, tableware.stove_kettle), SURFACE, small=True),
    Category("pot", (kitchen.pot, tableware.saucepan), SURFACE, False, small=True),
    Category("pan", (kitchen.pan, tableware.wok), SURFACE, False, small=True),
    Category("coffee machine", (kitchen.coffee_machine, tableware.espresso_machine), SURFACE, small=True),
    Category("plate", (kitchen.plate, tableware.served_plate), SURFACE, False, small=True),
    Category("apple", (kitchen.apple,), SURFACE, False, small=True),
    Category("soap", (kitchen.soap, tableware.soap_dispenser), SURFACE, False, small=True),
    Category("pillow", (small.pillow, tableware.bolster), SURFACE, False, small=True),
    Category("teddy bear", (small.teddy_bear, tableware.dressed_bear), SURFACE, small=True),
    Category("alarm clock", (small.alarm_clock, tableware.digital_clock), SURFACE, small=True),
    Category("candle", (small.candle, tableware.jar_candle), SURFACE, False, small=True),
    Category("monitor", (small.monitor, tableware.wide_monitor), SURFACE, small=True),
    Category("remote control", (small.remote, tableware.slim_remote), SURFACE, False, small=True),
    Category("statue", (small.statue, tableware.figure), SURFACE, False, small=True),
    Category("cactus", (small.cactus, tableware.round_cactus), SURFACE, False, small=True),
    Category("toilet paper", (small.toilet_paper, tableware.paper_stack), SURFACE, False, small=True),
    Category("table lamp", (decor.table_lamp, decor.desk_lamp, decor.globe_lamp), SURFACE, False, small=True),
    Category("vase", (decor.vase, decor.vase_with_flowers), SURFACE, False, small=True),
    Category("set of books", (small.books, tableware.standing_books), SURFACE, False, small=True),
    Category("cup", (small.cup, tableware.tea_cup), SURFACE, False, small=True),
    Category("bowl", (small.bowl, tableware.fruit_bowl), SURFACE, False, small=True),
    Category("bottle", (small.bottle, tableware.water_bottle), SURFACE, False, small=True),
    Category("laptop", (small.laptop, tableware.raised_laptop), SURFACE, True, small=True),
)  # fmt: skip
CATEGORIES: dict[str, Category] = {c.name: c for c in _ALL}
