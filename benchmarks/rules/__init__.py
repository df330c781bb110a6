"""What times, priorities, keys, shares and limits cost a job."""
