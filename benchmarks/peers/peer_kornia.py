"""kornia's ImageRegistrator on one pair; run by the python of .peers/kornia, which knows nothing of this project.

    python peer_kornia.py job.npz answer.json

The job holds two 8-bit grey images and the homography to start from (HR image to LR image, pixel centres); the answer
is the refined one. Defaults of its documentation, but for more iterations.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from kornia.geometry import ImageRegistrator


def main(job: Path, answer: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    given = np.load(job)
    hr, lr, start = given["hr"], given["lr"], given["start"]
    height, width = lr.shape
    warped = cv2.warpPerspective(hr, start, (width, height), flags=cv2.INTER_CUBIC)
    covered = cv2.warpPerspective(np.ones_like(hr), start, (width, height)) > 0
    rows, columns = (np.flatnonzero(covered.mean(axis=a) > 0.95 * covered.mean(axis=a).max()) for a in (1, 0))
    top, bottom, left, right = rows[0] + 8, rows[-1] - 8, columns[0] + 8, columns[-1] - 8
    source, target = (torch.from_numpy(i[top:bottom, left:right]).float()[None, None] / 255 for i in (warped, lr))
    source *= target.mean() / source.mean()  # it knows no difference in brightness
    registrator = ImageRegistrator("homography", num_iterations=200, lr=1e-4, pyramid_levels=3, tolerance=1e-6)
    source_of_target = registrator.register(source, target)[0].detach().double().numpy()
    # its coordinates: -1 and 1 are the outer edges of the first and the last pixel
    h, w = source.shape[-2:]
    unit_of_px = np.array([[2 / w, 0, 1 / w - 1], [0, 2 / h, 1 / h - 1], [0, 0, 1]])
    moved = np.array([[1, 0, left], [0, 1, top], [0, 0, 1.0]])
    warped_of_lr = moved @ np.linalg.inv(unit_of_px) @ source_of_target @ unit_of_px @ np.linalg.inv(moved)
    H = np.linalg.inv(warped_of_lr) @ start
    answer.write_text(json.dumps((H / H[2, 2]).tolist()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
