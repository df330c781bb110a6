"""The worker: claims jobs, has them run, settles them, renews their leases. One duty per file."""
