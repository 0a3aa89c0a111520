"""The views of the page "Why convolutions", one module each."""
