"""Key names, job states, encodings and policies: values and pure functions that every other package uses."""
