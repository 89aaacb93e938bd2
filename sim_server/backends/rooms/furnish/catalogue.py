"""All furniture categories: name, shapes, and placement."""

from __future__ import annotations

import math
from typing import NamedTuple, Sequence

import numpy as np

from protocol.seeds import pick
from sim_server.backends.rooms.furniture import figures
from sim_server.backends.rooms.furniture.decor import books, clocks, lamps, ornaments, plants, textiles, toys, wall_art
from sim_server.backends.rooms.furniture.household import (
    bathroom,
    climate,
    clothing,
    containers,
    electronics,
    laundry,
    toiletries,
)
from sim_server.backends.rooms.furniture.kitchen import (
    appliances,
    base_units,
    cookware,
    cupboards,
    sinks,
    tableware,
)
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
    tv_stands,
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
    grouped: tuple[Shape, ...] = ()  # further shapes, which only groups place

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
        True, 0.5, grouped=(cabinets.bathroom_cabinet,),
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
    Category("basket", (containers.basket, containers.square_basket, containers.belly_basket), ANYWHERE, False),
    Category(
        "television", (electronics.easel_television, electronics.pole_television), WALL, True, 0.6, ("living room",),
        grouped=(electronics.television, electronics.footed_television, electronics.wall_television),
    ),
    Category(
        "television stand", (tv_stands.closed_stand, tv_stands.open_stand, tv_stands.legged_stand), WALL, True, 0.6, (
        "living room",),
    ),
    Category(
        "fridge", (appliances.fridge, appliances.round_fridge, appliances.wide_fridge), WALL, True, 0.5, ("kitchen",),
    ),
    Category("stove", (appliances.stove, appliances.gas_stove, appliances.range_cooker), WALL, True, 0.5, ("kitchen",)),
    Category(
        "washing machine", (laundry.washing_machine, laundry.top_loader), WALL, True, 0.4, ("bathroom", "kitchen"),
    ),
    Category("toilet", (bathroom.toilet, bathroom.wall_toilet), WALL, True, 0.4, ("bathroom",), spread=0.12),
    Category("bathtub", (bathroom.bathtub, bathroom.freestanding_tub), WALL, False, 0.0, ("bathroom",)),
    Category(
        "washbasin", (bathroom.washbasin, bathroom.console_washbasin, bathroom.wall_washbasin), WALL, True, 0.4,
        ("bathroom",), grouped=(bathroom.vessel_basin,),
    ),
    Category(
        "counter", (base_units.counter, base_units.panelled_counter, base_units.drawer_counter), WALL, True, 0.6,
        ("kitchen",), grouped=(base_units.sink_counter,),
    ),
    Category(
        "sink", (sinks.sink, sinks.drainer_sink, sinks.double_sink, sinks.round_sink), SURFACE, True, 0.0, ("kitchen",),
    ),
    Category(
        "dishwasher", (base_units.dishwasher, base_units.built_in_dishwasher, base_units.white_dishwasher), WALL, True,
        0.6, ("kitchen",),
    ),
    Category(
        "trash can", (containers.bin_with_lid, containers.swing_bin, containers.paper_bin), CORNER, False, 0.0,
        ("kitchen", "bathroom"),
    ),
    Category(
        "rug", (textiles.rug, textiles.rug, textiles.round_rug, textiles.oval_rug), MIDDLE, False, 0.0, ("living room",
        "bedroom"),
    ),
    Category(
        "ottoman", (seating.ottoman, seating.pouffe, seating.tufted_ottoman), ANYWHERE, False, 0.0, ("living room",
        "bedroom"),
    ),
    Category("coat rack", (hallway.coat_rack, hallway.clothes_rail), CORNER, False, 0.0, ("hallway",), spread=0.12),
    Category("shoe rack", (hallway.shoe_rack, hallway.shoe_cabinet, hallway.bench_rack), WALL, True, 0.3, ("hallway",)),
    Category("piano", (instruments.piano, instruments.digital_piano), WALL, True, 0.7, ("living room", "dining room")),
    Category(
        "guitar", (instruments.guitar, instruments.electric_guitar), CORNER, True, 0.0, ("living room", "bedroom",
        "office"), spread=0.25,
    ),
    Category("fan", (climate.fan, climate.tower_fan), CORNER, True, 0.0, ("living room", "bedroom", "office")),
    Category("crib", (cots.crib, cots.panel_crib), WALL, True, 0.4, ("bedroom",)),
    Category("dog bed", (cots.dog_bed, cots.bolster_bed), CORNER, True, 0.0, ("living room", "hallway")),
    Category(
        "laundry basket", (laundry.laundry_basket, laundry.laundry_bag), WALL, False, 0.0, ("bathroom", "bedroom"),
    ),
    Category(
        "shower", (bathroom.glass_shower, bathroom.corner_shower, bathroom.walled_shower), WALL, True, 0.5,
        ("bathroom",),
    ),
    Category("radiator", (climate.radiator, climate.panel_radiator), WALL, True),
    Category(
        "cupboard", (cupboards.cupboard, cupboards.open_cupboard, cupboards.glazed_cupboard), HANGING, True, 0.0,
        ("kitchen",),
    ),
    Category(
        "extractor hood", (cupboards.hood, cupboards.slanted_hood, cupboards.canopy_hood), HANGING, True, 0.0,
        ("kitchen",), spread=0.1,
    ),
    Category(
        "picture", (wall_art.landscape_picture, wall_art.abstract_picture, wall_art.portrait, wall_art.poster,
        wall_art.botanical, wall_art.photo), HANGING,
    ),
    Category("mirror", (wall_art.framed_mirror, wall_art.round_mirror, wall_art.arched_mirror), HANGING),
    Category("clock", (clocks.clock, clocks.square_clock, clocks.sunburst_clock), HANGING),
    Category("shelf", (storage.wall_shelf, storage.box_shelf, storage.tiered_shelf), HANGING),
    Category("curtain", (textiles.curtain, textiles.tied_curtain, textiles.bordered_curtain), HANGING),
    Category(
        "towel", (toiletries.towel, toiletries.towel_ring, toiletries.hook_towel), HANGING, True, 0.0, ("bathroom",),
    ),
    Category("person", (figures.standing,), ANYWHERE, grouped=(figures.sitting,)),
    Category("microwave", (appliances.microwave, appliances.dial_microwave), SURFACE, True, small=True, spread=0.15),
    Category("toaster", (appliances.toaster, appliances.long_toaster), SURFACE, True, small=True, spread=0.2),
    Category(
        "kettle", (appliances.kettle, appliances.stove_kettle, appliances.glass_kettle), SURFACE, True, small=True,
        spread=0.2,
    ),
    Category("pot", (cookware.pot, cookware.saucepan, cookware.casserole), SURFACE, False, small=True, spread=0.15),
    Category("pan", (cookware.pan, cookware.wok, cookware.grill_pan), SURFACE, False, small=True, spread=0.25),
    Category(
        "coffee machine", (appliances.coffee_machine, appliances.espresso_machine), SURFACE, True, small=True,
        spread=0.25,
    ),
    Category(
        "plate", (tableware.plate, tableware.square_plate, tableware.served_plate), SURFACE, False, small=True,
        spread=0.1,
    ),
    Category("apple", (tableware.apple,), SURFACE, False, small=True, spread=0.2),
    Category("soap", (toiletries.soap, toiletries.soap_dispenser), SURFACE, False, small=True, spread=0.25),
    Category(
        "pillow", (textiles.pillow, textiles.striped_pillow, textiles.buttoned_pillow), SURFACE, False, small=True,
        grouped=(textiles.bed_pillow,),
    ),
    Category("teddy bear", (toys.teddy_bear, toys.dressed_bear), SURFACE, True, small=True, spread=0.35),
    Category("alarm clock", (clocks.alarm_clock, clocks.digital_clock), SURFACE, True, small=True, spread=0.2),
    Category(
        "candle", (ornaments.candle, ornaments.jar_candle, ornaments.pillar_candle), SURFACE, False, small=True,
        spread=0.1,
    ),
    Category(
        "monitor", (electronics.monitor, electronics.wide_monitor, electronics.desktop_monitor), SURFACE, True,
        small=True,
    ),
    Category("remote control", (electronics.remote, electronics.slim_remote), SURFACE, False, small=True),
    Category("statue", (ornaments.statue, ornaments.animal, ornaments.figure), SURFACE, True, small=True, spread=0.1),
    Category("cactus", (plants.cactus, plants.round_cactus), SURFACE, False, small=True, spread=0.15),
    Category("toilet paper", (toiletries.toilet_paper, toiletries.lying_paper), SURFACE, False, small=True, spread=0.1),
    Category(
        "table lamp", (lamps.table_lamp, lamps.desk_lamp, lamps.globe_lamp), SURFACE, False, small=True, spread=0.15,
    ),
    Category(
        "vase", (ornaments.vase, ornaments.vase_with_flowers, ornaments.tall_vase), SURFACE, False, small=True,
        spread=0.1,
    ),
    Category(
        "stack of books", (books.books, books.open_book_stack, books.magazines), SURFACE, False, small=True, spread=0.2,
    ),
    Category("cup", (tableware.cup, tableware.tea_cup, tableware.tumbler), SURFACE, False, small=True, spread=0.08),
    Category(
        "bowl", (tableware.bowl, tableware.fruit_bowl, tableware.pedestal_bowl), SURFACE, False, small=True, spread=0.1,
    ),
    Category(
        "bottle", (tableware.bottle, tableware.water_bottle, tableware.flask), SURFACE, False, small=True, spread=0.1,
    ),
    Category(
        "laptop", (electronics.laptop, electronics.thick_laptop, electronics.tablet_laptop, electronics.raised_laptop),
        SURFACE, True, small=True, spread=0.1,
    ),
    Category(
        "pair of shoes", (clothing.sneakers, clothing.boots, clothing.slippers), SURFACE, True, small=True, spread=0.2,
    ),
    Category("backpack", (clothing.backpack,), SURFACE, True, small=True, spread=0.15),
    Category("bag", (clothing.tote_bag,), SURFACE, True, small=True, spread=0.15),
    Category("suitcase", (clothing.suitcase,), SURFACE, True, small=True, spread=0.15),
    Category("toy car", (toys.toy_car, toys.toy_truck), SURFACE, True, small=True, spread=0.25),
)  # fmt: skip
CATEGORIES: dict[str, Category] = {c.name: c for c in _ALL}
CEILING_LAMP = (
    "ceiling lamp"  # one per space, in homes of the natural palette with all categories; see building/shell.py
)
