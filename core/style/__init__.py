"""Chapter 5.2: style transfer by optimisation (Gatys et al., 2015) and feed-forward (Huang and Belongie, 2017)."""
