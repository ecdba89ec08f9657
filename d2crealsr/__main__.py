"""``python -m d2crealsr``."""

from d2crealsr.cli import main

if __name__ == "__main__":
    main()
