"""The HTTP service of a queue. Its modules import Flask and gevent; `import mlq` does not."""
