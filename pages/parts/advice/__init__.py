"""Parts of the page "Practical advice"."""
