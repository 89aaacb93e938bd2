"""All furniture categories: name, shapes, and placement."""

from __future__ import annotations

import math
from typing import NamedTuple, Sequence

import numpy as np

from protocol.seeds import pick
from sim_server.backends.rooms.furniture.decor import books, clocks, lamps, ornaments, plants, textiles, toys, wall_art
from sim_server.backends.rooms.furniture.household import (
    bathroom,
    climate,
    containers,
    electronics,
    laundry,
    toiletries,
)
from sim_server.backends.rooms.furniture.kitchen import appliances, base_units, cookware, cupboards, tableware
from sim_server.backends.rooms.furniture.large import (
    beds,
    cabinets,
    chairs,
    cots,
    hallway,
    instruments,
    seating,
    storage,
    tables,
)
from sim_server.backends.rooms.furniture.model import Model, Shape

WALL, CORNER, MIDDLE, ANYWHERE, SURFACE, HANGING = "wall", "corner", "middle", "anywhere", "surface", "hanging"


class Category(NamedTuple):
    name: str
    shapes: tuple[Shape, ...]
    # WALL: back against a wall; CORNER; MIDDLE: away from walls; ANYWHERE; SURFACE: only on furniture;
    # HANGING: on a wall
    place: str
    has_front: bool = True
    clearance_m: float = 0.0  # depth of free floor in front of it
    rooms: tuple[str, ...] = ()  # kinds of room that it suits; empty: any
    beside: tuple[str, ...] = ()  # categories that it is placed next to, natural palette
    small: bool = False  # may be placed on a surface
    spread: float = 0.0  # shapes are scaled by up to this fraction, in both directions

    def model(self, rng: np.random.Generator, shapes: Sequence[Shape] = ()) -> Model:
        """One of `shapes`, by default of all shapes of the category, in a random size."""
        model = pick(shapes or self.shapes, rng)(rng)
        if self.spread:
            most = math.log1p(self.spread)
            model.scale(math.exp(rng.uniform(-most, most)))
        return model


_ALL = (
    Category(
        "chair", (chairs.dining_chair, chairs.upholstered_chair, chairs.office_chair, chairs.shell_chair,
        chairs.metal_chair, chairs.cantilever_chair), ANYWHERE, True, 0.2, (), ("table", "desk"),
    ),
    Category("stool", (chairs.stool, chairs.square_stool, chairs.pedestal_stool), ANYWHERE, False),
    Category("bench", (seating.bench, seating.padded_bench, seating.backed_bench), WALL, True, 0.3),
    Category(
        "armchair", (seating.armchair, seating.wooden_armchair, seating.wing_chair), ANYWHERE, True, 0.4, (
        "living room", "bedroom"),
    ),
    Category(
        "sofa", (seating.sofa, seating.corner_sofa, seating.rolled_sofa, seating.frame_sofa), WALL, True, 0.5, (
        "living room",),
    ),
    Category(
        "table", (tables.dining_table, tables.square_table, tables.round_table, tables.trestle_table,
        tables.metal_table), MIDDLE, False, 0.0, ("living room", "kitchen"),
    ),
    Category(
        "coffee table", (tables.coffee_table, tables.round_coffee_table, tables.block_coffee_table), MIDDLE, False,
        0.0, ("living room",), ("sofa",),
    ),
    Category("desk", (tables.desk, tables.legged_desk, tables.metal_desk), WALL, True, 0.7, ("bedroom", "office")),
    Category(
        "nightstand", (tables.nightstand, tables.open_nightstand, tables.round_nightstand), WALL, True, 0.3,
        ("bedroom",), ("bed",),
    ),
    Category(
        "bed", (beds.panel_bed, beds.box_bed, beds.metal_bed, beds.platform_bed, beds.storage_bed, beds.bunk_bed),
        WALL, True, 0.4, ("bedroom",),
    ),
    Category(
        "bookshelf", (storage.bookshelf, storage.cube_shelf, storage.ladder_shelf, storage.metal_shelf), WALL, True,
        0.5, ("living room", "bedroom", "office"),
    ),
    Category(
        "cabinet", (cabinets.cabinet, cabinets.slatted_cabinet, cabinets.display_cabinet, cabinets.tall_cabinet), WALL,
        True, 0.5,
    ),
    Category(
        "dresser", (cabinets.dresser, cabinets.legged_dresser, cabinets.tall_dresser), WALL, True, 0.5, ("bedroom",),
    ),
    Category(
        "wardrobe", (storage.wardrobe, storage.sliding_wardrobe, storage.panelled_wardrobe), WALL, True, 0.5,
        ("bedroom",),
    ),
    Category(
        "lamp", (lamps.floor_lamp, lamps.tripod_lamp, lamps.arc_lamp, lamps.reading_lamp, lamps.globe_floor_lamp,
        lamps.column_lamp), CORNER, False,
    ),
    Category(
        "plant", (plants.leafy_plant, plants.bush_plant, plants.snake_plant, plants.palm, plants.fiddle_fig), CORNER,
        False,
    ),
    Category("ball", (toys.ball, toys.panelled_ball, toys.banded_ball), ANYWHERE, False),
    Category("box", (containers.open_box, containers.crate, containers.lidded_box), ANYWHERE, False),
    Category("basket", (containers.basket, containers.square_basket), ANYWHERE, False),
    Category("television", (electronics.television, electronics.tall_television), WALL, True, 0.6, ("living room",)),
    Category("fridge", (appliances.fridge, appliances.round_fridge), WALL, True, 0.5, ("kitchen",)),
    Category("stove", (appliances.stove, appliances.gas_stove), WALL, True, 0.5, ("kitchen",)),
    Category(
        "washing machine", (laundry.washing_machine, laundry.top_loader), WALL, True, 0.4, ("bathroom", "kitchen"),
    ),
    Category("toilet", (bathroom.toilet, bathroom.wall_toilet), WALL, True, 0.4, ("bathroom",)),
    Category("bathtub", (bathroom.bathtub, bathroom.freestanding_tub), WALL, False, 0.0, ("bathroom",)),
    Category("washbasin", (bathroom.washbasin, bathroom.vanity), WALL, True, 0.4, ("bathroom",)),
    Category("counter", (base_units.counter, base_units.panelled_counter), WALL, True, 0.6, ("kitchen",)),
    Category("sink", (base_units.sink, base_units.ceramic_sink), WALL, True, 0.6, ("kitchen",)),
    Category("dishwasher", (base_units.dishwasher, base_units.built_in_dishwasher), WALL, True, 0.6, ("kitchen",)),
    Category("trash can", (containers.bin_with_lid, containers.swing_bin), CORNER, False, 0.0, ("kitchen", "bathroom")),
    Category("rug", (textiles.rug, textiles.rug, textiles.round_rug), MIDDLE, False, 0.0, ("living room", "bedroom")),
    Category(
        "ottoman", (seating.ottoman, seating.pouffe, seating.tufted_ottoman), ANYWHERE, False, 0.0, ("living room",
        "bedroom"),
    ),
    Category("coat rack", (hallway.coat_rack, hallway.clothes_rail), CORNER, False, 0.0, ("hallway",)),
    Category("shoe rack", (hallway.shoe_rack, hallway.shoe_cabinet), WALL, True, 0.3, ("hallway",)),
    Category("piano", (instruments.piano, instruments.digital_piano), WALL, True, 0.7, ("living room", "dining room")),
    Category(
        "guitar", (instruments.guitar, instruments.electric_guitar), CORNER, True, 0.0, ("living room", "bedroom",
        "office"),
    ),
    Category("fan", (climate.fan, climate.tower_fan), CORNER, True, 0.0, ("living room", "bedroom", "office")),
    Category("crib", (cots.crib, cots.panel_crib), WALL, True, 0.4, ("bedroom",)),
    Category("dog bed", (cots.dog_bed, cots.bolster_bed), CORNER, True, 0.0, ("living room", "hallway")),
    Category(
        "laundry basket", (laundry.laundry_basket, laundry.laundry_bag), WALL, False, 0.0, ("bathroom", "bedroom"),
    ),
    Category("shower", (bathroom.glass_shower, bathroom.curtain_shower), WALL, True, 0.5, ("bathroom",)),
    Category("radiator", (climate.radiator, climate.panel_radiator), WALL, True),
    Category("cupboard", (cupboards.cupboard, cupboards.open_cupboard), HANGING, True, 0.0, ("kitchen",)),
    Category("extractor hood", (cupboards.hood, cupboards.slanted_hood), HANGING, True, 0.0, ("kitchen",)),
    Category("picture", (wall_art.landscape_picture, wall_art.abstract_picture, wall_art.framed_photos), HANGING),
    Category("mirror", (wall_art.framed_mirror, wall_art.round_mirror), HANGING),
    Category("clock", (clocks.clock, clocks.square_clock), HANGING),
    Category("shelf", (storage.wall_shelf, storage.box_shelf), HANGING),
    Category("curtain", (textiles.curtain, textiles.roller_blind), HANGING),
    Category("towel", (toiletries.towel, toiletries.towel_ring), HANGING, True, 0.0, ("bathroom",)),
    Category("microwave", (appliances.microwave, appliances.dial_microwave), SURFACE, small=True),
    Category("toaster", (appliances.toaster, appliances.long_toaster), SURFACE, small=True),
    Category("kettle", (appliances.kettle, appliances.stove_kettle), SURFACE, small=True),
    Category("pot", (cookware.pot, cookware.saucepan), SURFACE, False, small=True),
    Category("pan", (cookware.pan, cookware.wok), SURFACE, False, small=True),
    Category("coffee machine", (appliances.coffee_machine, appliances.espresso_machine), SURFACE, small=True),
    Category("plate", (tableware.plate, tableware.served_plate), SURFACE, False, small=True),
    Category("apple", (tableware.apple,), SURFACE, False, small=True),
    Category("soap", (toiletries.soap, toiletries.soap_dispenser), SURFACE, False, small=True),
    Category("pillow", (textiles.pillow, textiles.bolster), SURFACE, False, small=True),
    Category("teddy bear", (toys.teddy_bear, toys.dressed_bear), SURFACE, small=True),
    Category("alarm clock", (clocks.alarm_clock, clocks.digital_clock), SURFACE, small=True),
    Category("candle", (ornaments.candle, ornaments.jar_candle), SURFACE, False, small=True),
    Category("monitor", (electronics.monitor, electronics.wide_monitor), SURFACE, small=True),
    Category("remote control", (electronics.remote, electronics.slim_remote), SURFACE, False, small=True),
    Category("statue", (ornaments.statue, ornaments.figure), SURFACE, False, small=True),
    Category("cactus", (plants.cactus, plants.round_cactus), SURFACE, False, small=True),
    Category("toilet paper", (toiletries.toilet_paper, toiletries.paper_stack), SURFACE, False, small=True),
    Category("table lamp", (lamps.table_lamp, lamps.desk_lamp, lamps.globe_lamp), SURFACE, False, small=True),
    Category("vase", (ornaments.vase, ornaments.vase_with_flowers), SURFACE, False, small=True),
    Category("set of books", (books.books, books.standing_books), SURFACE, False, small=True),
    Category("cup", (tableware.cup, tableware.tea_cup), SURFACE, False, small=True),
    Category("bowl", (tableware.bowl, tableware.fruit_bowl), SURFACE, False, small=True),
    Category("bottle", (tableware.bottle, tableware.water_bottle), SURFACE, False, small=True),
    Category("laptop", (electronics.laptop, electronics.raised_laptop), SURFACE, True, small=True),
)  # fmt: skip
CATEGORIES: dict[str, Category] = {c.name: c for c in _ALL}
