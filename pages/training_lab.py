"""Training lab: choose pictures, a network and an optimiser, and watch it learn."""

from pages.parts.header import header, paper_link
from pages.parts.lab import training

entry = header("training_lab")
training.view()
paper_link(entry)
