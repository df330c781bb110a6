"""One model behind MLQ's HTTP service and behind what people use instead: rates, latencies and memory."""
