"""Post one job and wait for its result."""

from mlq.queue import MLQ

mlq = MLQ("example_app")
job_id = mlq.post({"my_data": 1234})
print("Posted job", job_id)

print("The result is", mlq.wait(job_id))  # raises what the listener raised, if it failed
