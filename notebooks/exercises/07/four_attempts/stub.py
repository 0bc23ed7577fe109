my_policy = ...  # your code: an InvocationRetryPolicy
