"""The parts of the face recognition page: recognition, persons, and the arithmetic of 1:K."""
