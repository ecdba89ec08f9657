"""What is left of d2c where torch is not installed: importing it, and one line from the command."""

from __future__ import annotations

import subprocess
import sys

HIDE = """
import importlib.abc, importlib.util, sys
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torch" else find_spec(name, *rest)
sys.meta_path.insert(0, Hide())
"""


def python(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", HIDE + code], capture_output=True, text=True, check=False
    )


def test_the_command_says_what_is_missing_in_one_line():
    result = python("sys.argv = ['d2c', 'train']\nfrom d2c.cli import main\nmain()")
    assert result.returncode == 1
    assert result.stderr == "d2c needs PyTorch, which is not installed; run: pip install '.[train]' in the checkout\n"
    assert result.stdout == ""


def test_settings_and_metrics_work():
    code = "import d2c, numpy as np\nz = np.zeros((20, 20, 3), np.uint8)\n"
    code += "print(d2c.D2CConfig().predictions, d2c.metrics.psnr_y(z, z, 4))"
    assert python(code).stdout == "4 inf\n"


def test_importing_is_light():
    code = "import d2c\nprint([m for m in ('pandas', 'skimage', 'matplotlib', 'rich', 'click') if m in sys.modules])"
    assert python(code).stdout == "[]\n"
