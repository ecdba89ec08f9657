"""The user interface that both packages share: programs, options, progress, interrupts, streams, pages, versions."""
