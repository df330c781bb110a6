"""Post one job and wait for its result."""

import time

from mlq.queue import MLQ

mlq = MLQ("example_app")
job_id = mlq.post({"my_data": 1234})
print("Posted job", job_id)

while (result := mlq.get_job(job_id)["result"]) is None:
    time.sleep(0.1)
print("The result is", result)
