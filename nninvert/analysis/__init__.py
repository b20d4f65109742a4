"""What can be said about a network and its targets before and after inverting it."""
