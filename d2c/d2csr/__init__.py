"""The network D2C-SR: its tree of branches, its convergence net, and how both are trained and run in bands."""
