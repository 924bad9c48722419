"""What can be said of a text without computing with a model: sentences, chunks, trigrams."""
