# ✗ The provider was asked 5 times before the pause.
my_policy = InvocationRetryPolicy(
    initial_interval=timedelta(seconds=0.1),
    max_attempts=5,  # one attempt and four retries
    on_max_attempts="pause",
)
