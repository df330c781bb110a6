"""A demonstration on real data: two workers read handwritten digits, and one of them is killed on the way."""
