"""Learning similarity: a Siamese network trained live, its map, its error rates, and one triplet by hand."""

from pages.parts.header import header, paper_link
from pages.parts.similarity import learn

entry = header("face_similarity")
learn.view()
paper_link(entry)
