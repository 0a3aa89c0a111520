"""Face verification: two photographs, one distance, and a threshold that decides whether they show one person."""

from pages.parts.faces import verify
from pages.parts.header import header, paper_link

entry = header("face_verification")
verify.view()
paper_link(entry)
