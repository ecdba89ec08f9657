"""``python -m d2crealsr``."""

from d2crealsr.command.cli import main

if __name__ == "__main__":
    main()
