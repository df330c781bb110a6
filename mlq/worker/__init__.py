"""The worker: claims jobs, has a pool run them, settles them and renews their leases. One duty per file."""
