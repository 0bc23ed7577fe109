"""An agent without Restate: three model calls, one after the other."""

from openai import OpenAI

client = OpenAI(max_retries=0)
for step in ("plan", "write", "review"):
    client.chat.completions.create(
        model="gpt-5-mini",
        messages=[{"role": "user", "content": f"{step} a to-do program"}],
        extra_headers={"X-Client-Request-Id": f"plain/{step}"},
    )
    print(f"{step}: done")
