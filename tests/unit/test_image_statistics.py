"""The statistics of benchmarks/image_statistics.py on images with known values."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.image_statistics import Statistics, edge_fraction, flat_fraction, hues_deg, luminance


def test_hues_of_the_primaries_and_none_of_grey() -> None:
    pixels = np.array(
        [[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [120, 120, 120], [120, 110, 110]]], np.uint8
    )
    assert hues_deg(pixels).tolist() == pytest.approx([0, 120, 240, 60])


def test_half_of_an_image_is_flat() -> None:
    rng = np.random.default_rng(0)
    rgb = np.full((64, 64, 3), 100, np.uint8)
    rgb[:, 32:] += rng.integers(0, 12, (64, 32, 1), np.uint8)
    assert flat_fraction(luminance(rgb)) == 0.5
    assert edge_fraction(luminance(rgb)) == 0.0


def test_a_step_is_an_edge_of_two_columns() -> None:
    rgb = np.zeros((34, 34, 3), np.uint8)
    rgb[:, 17:] = 200
    assert edge_fraction(luminance(rgb)) == pytest.approx(2 / 32)


def test_spread_is_that_of_all_pixels_and_that_of_the_means() -> None:
    found = Statistics()
    for level in range(0, 250, 10):
        rgb = np.full((16, 16, 3), level, np.uint8)
        rgb[:8] = 255 - level
        found.add(rgb, np.repeat(np.arange(16, dtype=np.int32)[:, None] // 8, 16, 1))
    row = found.row()
    assert row["pixels_10_90"][1] - row["pixels_10_90"][0] > 180
    assert row["image_means_10_90"] == pytest.approx([127.5, 127.5])
    assert (row["images"], row["objects"], row["coverage"]) == (25, 1.0, 0.5)
