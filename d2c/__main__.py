"""``python -m d2c``, which torchrun starts: ``torchrun --nproc-per-node 2 -m d2c train …``."""

from d2c.cli import main

if __name__ == "__main__":
    main()
