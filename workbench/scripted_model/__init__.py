"""A model that speaks OpenAI's chat-completions wire format and answers from a script.

A learner needs no key and no money, the answers are the same on every run, and what no provider
offers can be had: faults on demand, a settable rate, and a count, kept by the model itself, of the
tokens that it sent to each request before the client hung up.

Run it with `python -m workbench.scripted_model`; it listens on loopback only.

- `POST /v1/chat/completions`, `GET /v1/models`, `GET /v1/models/{id}`: as OpenAI's; any model
  name and any key are accepted, no key is refused.
- `GET /control/requests?prefix=`, `DELETE /control/requests`: the requests so far (`records.py`).
- `GET /control/settings`, `PATCH /control/settings`: the rate (`settings.py`).
- `PUT /control/fault`, `DELETE /control/fault`: make requests fail, and mend (`faults.py`).
"""
