"""File predictions as jobs, and batches of requests in OpenAI's form: where files are kept, and what runs them."""
