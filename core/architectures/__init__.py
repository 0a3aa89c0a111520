"""Chapter 2: the networks of the case studies, what they cost, and the experiments on them.

Pages call `tasks`; `catalog`, `diagram` and the result classes are light: no Keras, no TensorFlow.
"""
