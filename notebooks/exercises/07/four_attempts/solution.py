my_policy = InvocationRetryPolicy(
    initial_interval=timedelta(seconds=0.1), max_attempts=4, on_max_attempts="pause"
)
