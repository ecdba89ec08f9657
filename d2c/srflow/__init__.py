"""SRFlow: a conditional normalizing flow over HR images, on the features of an RRDB network."""
