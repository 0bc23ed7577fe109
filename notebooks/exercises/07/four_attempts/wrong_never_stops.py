# ✗ After 4 seconds it is still being tried, or waits for its next attempt.
my_policy = InvocationRetryPolicy(initial_interval=timedelta(seconds=0.1), on_max_attempts="pause")
