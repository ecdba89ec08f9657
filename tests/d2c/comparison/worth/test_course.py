"""A course: stage 1 once, and the last stages from the weights that it keeps on the way."""

from __future__ import annotations

from d2c.comparison.worth.arms import SIZES, arms_of
from d2c.comparison.worth.course import Course


def test_each_training_of_a_course_is_validated_once_at_its_end(begun):
    """Only the last value is asked for, and on large images ten validations cost more than the steps."""
    work, _ = begun
    size = SIZES["tiny"]
    family = [arm for arm in arms_of(size, 2) if arm.name in ("published", "mean")]
    published = next(arm for arm in family if arm.name == "published")
    course = Course(work, family, size.milestones, 1e-3, 0)
    found = course.validated(published, 16)
    (point,) = course.trunk.curve()
    assert point[0] == 16 * size.train.batch
    (folder,) = (path for path in (work.out / "cells").iterdir() if "published-16" in path.name)
    log = (folder / "run/log.csv").read_text().splitlines()
    names = log[0].split(",")
    values = [dict(zip(names, line.split(","), strict=True))["val_psnr_db_fused"] for line in log[1:]]
    assert [value for value in values if value] == values[-1:]
    assert abs(float(values[-1]) - found) < 1e-4
