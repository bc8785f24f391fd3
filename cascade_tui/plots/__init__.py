"""Charts of runs outside the app: as characters, as SVG, as a page."""
