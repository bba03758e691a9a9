"""The report of a fit: figures, words, and the page that holds them."""
