"""The words of protocol/skills carry the numbers that the families' rules use."""

from __future__ import annotations

from protocol.skills import CATALOGUE
from sim_server.questions.families import rules
from sim_server.questions.families.pair import across, change, match, motion
from sim_server.questions.families.pair import cameras as pairs
from sim_server.questions.families.several import room_size as rooms
from sim_server.questions.families.several import scene
from sim_server.questions.families.several import streams as cameras
from sim_server.questions.families.single import image as picture
from sim_server.questions.families.single import measures, perceive, small, space
from sim_server.questions.families.walk import fits as room_for
from sim_server.questions.families.walk import maps, route, viewpoint
from sim_server.questions.families.walk import trajectory as walk

LEVELS = range(5)
said: set[tuple[str, int]] = set()


def says(skill: str, level: int, *texts: str) -> None:
    said.add((skill, level))
    for text in texts:
        assert text in CATALOGUE[skill].levels[level], (skill, level, text)


def _about_single_views(level: int) -> None:
    clear = (f"{rules.PERCEIVE[level].fraction:.0%}", f"{rules.PERCEIVE[level].area:.1%}")
    for skill in ("object_category", "object_color", "object_location", "object_count", "object_size"):
        says(skill, level, *clear)
    says("object_location", level, f"{perceive.CELL_MARGIN[level]:.2f}")
    low, high = perceive.COUNT_RANGE[level]
    says("object_count", level, f"{low} to {high}")
    says("camera_object_distance", level, *clear, f"{measures.NEAREST_M} to {measures.FARTHEST_M[level]} m")
    says("view_direction", level, f"{picture.SEPARATION[level]:.2f}")
    says("depth_order", level, f"{picture.DEPTH_GAP[level]:.0%}")
    if level >= picture.SAME_FROM_LEVEL:
        says("depth_order", level, f"the same (within {picture.SAME_DEPTH_M} m)")
    says("relative_distance", level, f"{space.OPTION_COUNT[level]} options", f"{space.GAP_M[level]:.2f} m")
    says("relative_direction", level, f"{space.SECTOR_MARGIN_DEG[level]:g} degrees")
    if motion.FORM[level] == "turn":
        says("camera_motion", level, f"{motion.LEAST_TURN_DEG[level]:g} degrees")
    else:
        says("camera_motion", level, f"{motion.LEAST_MOVE_M[level]} m")


def _about_several_views(level: int) -> None:
    clear = (f"{rules.PERCEIVE[level].fraction:.0%}", f"{rules.PERCEIVE[level].area:.1%}")
    says("camera_position", level, f"{pairs.POSITION_MARGIN_DEG[level]:g} degrees")
    says("camera_elevation", level, f"{pairs.RISE_M[level]:.2f} m")
    says("visibility_compare", level, f"{match.SHOWN_GAP[level]:.2f}")
    says("object_from_camera", level, f"{across.OBJECT_MARGIN_DEG[level]:g} degrees")
    says("region_from_camera", level, f"{across.REGION_MARGIN_DEG[level]:g} degrees")
    says("object_match", level, f"{match.MATCH_OPTIONS[level]} options", f"{match.TURNED_DEG[level]:g} degrees")
    for skill in ("object_distance", "scene_count", "scene_relative_distance", "scene_relative_direction"):
        says(skill, level, f"{scene.PICTURES[level]} pictures")
        assert ("none of them" in CATALOGUE[skill].levels[level]) == (level >= scene.APART_FROM_LEVEL)
    says("scene_size", level, *clear, f"{scene.PICTURES[level]} pictures")
    low, high = scene.SCENE_COUNT_RANGE[level]
    says("scene_count", level, *clear, f"{low} to {high} things")
    low, high = cameras.COUNT_RANGE[level]
    says("cameras_count", level, *clear, f"{low} to {high} things", f"{cameras.IN_TWO[level]} of them seen twice")
    says("scene_relative_distance", level, f"{space.OPTION_COUNT[level]} options", f"{space.GAP_M[level]:.2f} m")
    says("scene_relative_direction", level, f"{space.SECTOR_MARGIN_DEG[level]:g} degrees")
    says(
        "room_size",
        level,
        f"{rooms.ROOM_PICTURES[level]} pictures",
        "{:.0%} to {:.0%}".format(*rooms.OUTLINE[level]),
    )
    for skill in ("cameras_shared", "cameras_count", "cameras_nearest"):
        says(skill, level, f"{cameras.CAMERAS[level]} cameras")
    says("cameras_shared", level, f"{cameras.SHARED_OPTIONS[level]} options")
    says("cameras_nearest", level, f"{cameras.NEAREST_GAP_M[level]} m")
    little = small.SMALL[level]
    for skill in ("small_presence", "small_nearest", "small_location"):
        says(skill, level, f"{little.fraction:.0%}", f"{little.area:.2%}", f"{small.NEAR_M[level]} m")
    says("small_nearest", level, f"{space.OPTION_COUNT[level]} options", f"{small.SMALL_GAP_M[level]:.2f} m")
    says("small_location", level, f"{small.LOCATION_OPTIONS[level]} options", f"{small.SIDE_APART[level]:.2f}")
    says("small_location", level, f"{small.WRONG_BY_M[level]} m")


def _about_maps_and_moves(level: int) -> None:
    apart = walk.GAP_VIEWS[level]
    views = f"{apart} view{'s' if apart > 1 else ''} apart"
    says("appearance_order", level, f"{walk.ORDERED[level]} things", views, f"{walk.APPEARS[level]:.1%}")
    says("path_length", level, f"{walk.SHORTEST_M} to {walk.LONGEST_M[level]} m", f"{walk.CORNERS[level]} corner")
    says("action_consequence", level, f"{route.MOVES[level]} move", f"{route.MARGIN_DEG[level]:g} degrees")
    says("route_plan", level, f"{route.ROUTE_TURNS[level]} turn", f"{route.TURN_MARGIN_DEG[level]:g} degrees")
    says("cognitive_map", level, f"{maps.PLACED[level]} things", f"{maps.APART_M[level]} m")
    says("perspective", level, f"{viewpoint.MARGIN_DEG[level]:g} degrees")
    says("view_choice", level, f"{len(viewpoint.TURNS_DEG[level])} turns", f"{viewpoint.FRAME_MARGIN[level]:.2f}")
    says("fits", level, f"{room_for.MARGIN_M[level]:.2f} m")
    says("before_after", level, f"{change.CHANGE_OPTIONS[level]} options")
    if change.KINDS[level] == ("moved",):
        says("before_after", level, f"{change.LEAST_MOVED_M[level]} m")
    says("occlusion_removal", level, f"{change.HIDES_OPTIONS[level]} options", f"{change.UNCOVERED[level]:.0%}")
    if maps.FORM[level] == "half":
        says("cross_view", level, f"{maps.HALF_MARGIN:.2f}")
    elif maps.FORM[level] == "heading":
        says("cross_view", level, f"{maps.HEADING_MARGIN_DEG[level]:g} degrees")
    else:
        says("cross_view", level, f"{maps.CELL_MARGIN[level]:.2f}")


def test_the_catalogue_says_what_the_families_measure() -> None:
    for level in LEVELS:
        _about_single_views(level)
        _about_several_views(level)
        _about_maps_and_moves(level)
    assert said == {(name, level) for name in CATALOGUE for level in LEVELS}
