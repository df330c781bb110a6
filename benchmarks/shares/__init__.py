"""What shares cost, and how they divide the time of a worker."""
