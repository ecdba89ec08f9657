"""Models in files for other programs. A format is one module and one line in :data:`d2c.export.write.FORMATS`."""
