"""The R-CNN family on one backbone: regions are proposed, then each is classified and its box corrected."""
