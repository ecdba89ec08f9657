"""The network D2C-SR: its tree of branches, its convergence net, and their training and execution in bands."""
