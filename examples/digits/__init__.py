"""A demonstration on real data: two workers host a model that reads digits, and one of them is killed on the way."""
