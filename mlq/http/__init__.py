"""The HTTP face of a queue. Flask and gevent are imported by its modules, never by `import mlq`."""
