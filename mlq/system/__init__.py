"""What a process needs from Python and the operating system: logs, threads, memory, terminals."""
