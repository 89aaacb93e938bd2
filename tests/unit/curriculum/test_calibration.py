"""Expected calibration error and Brier score."""

from __future__ import annotations

import numpy as np
import pytest

from curriculum.ability.calibration import Calibration


def test_no_values_before_the_first_report():
    assert Calibration().ece is None
    assert Calibration().brier is None


def test_a_calibrated_policy_has_no_error():
    calibration, rng = Calibration(), np.random.default_rng(0)
    for _ in range(3000):
        likelihood = float(rng.random())
        calibration.add(likelihood, float(rng.binomial(16, likelihood)) / 16)
    assert calibration.ece is not None and calibration.ece < 0.02
    assert calibration.brier == pytest.approx(1 / 6, abs=0.02), "the mean of p(1-p) over uniform p"


def test_the_error_equals_the_overconfidence():
    calibration = Calibration()
    for _ in range(100):
        calibration.add(0.9, 0.5)
    assert calibration.ece == pytest.approx(0.4)
    assert calibration.brier == pytest.approx(0.4**2 + 0.25)


def test_likelihoods_zero_and_one_have_a_bin():
    calibration = Calibration()
    calibration.add(0.0, 0.0)
    calibration.add(1.0, 1.0)
    assert calibration.ece == pytest.approx(0.0)


def test_old_reports_fade():
    calibration = Calibration()
    for _ in range(1000):
        calibration.add(0.9, 0.1)
    for _ in range(4000):
        calibration.add(0.5, 0.5)
    assert calibration.ece is not None and calibration.ece < 0.01
