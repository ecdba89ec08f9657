"""Train and run D2C-SR on pairs made by d2crealsr."""
