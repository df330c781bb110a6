"""Jobs under rules in the chaos suite: limits, pauses, shares, keys, schedules, times, priorities and full queues."""
