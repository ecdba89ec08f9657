"""A folder of captures to a folder of pairs: the run, its scenes, and what is done to the finished folder."""
