"""From a folder of captures to a folder of pairs: the run, its scenes, and work on the finished folder."""
