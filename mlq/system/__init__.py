"""What a process needs of Python and of the operating system: logs, threads, memory, terminals."""
