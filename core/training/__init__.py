"""Chapter 3: training of image classifiers: data, networks, the trainer, evaluation."""
