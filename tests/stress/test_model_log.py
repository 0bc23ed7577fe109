"""The model forgets: nothing of that goes unnoticed."""

from dataclasses import replace

from tests.stress.model_log import ModelLog
from workbench import ModelRequest

REQUEST = ModelRequest(
    number=1,
    label="session/1/plan",
    step="plan",
    status="completed",
    http_status=200,
    prompt_tokens=10,
    completion_tokens=20,
    started_at=1.0,
    first_token_at=1.1,
    last_token_at=1.9,
    ended_at=2.0,
)


class _Model:
    """Keeps the last three requests."""

    def __init__(self) -> None:
        self.kept: list[ModelRequest] = []
        self.asked: list[int] = []

    def sees(self, *requests: ModelRequest) -> None:
        self.kept = [*self.kept, *requests][-3:]

    def requests(self, label_prefix: str = "", *, after: int = 0) -> list[ModelRequest]:
        self.asked.append(after)
        return [request for request in self.kept if request.number > after]


def _request(number: int, *, open: bool = False) -> ModelRequest:
    if open:
        return replace(REQUEST, number=number, status="streaming", ended_at=None)
    return replace(REQUEST, number=number)


def test_it_keeps_what_the_model_forgets() -> None:
    model = _Model()
    log = ModelLog(model)
    for number in range(1, 8):
        model.sees(_request(number))
        log.collect()
    assert [request.number for request in log.by_session()["session"]] == list(range(1, 8))
    assert log.lost == []
    assert model.asked == list(range(7))


def test_it_reads_again_what_had_not_ended() -> None:
    model = _Model()
    log = ModelLog(model)
    model.sees(_request(1, open=True), _request(2))
    log.collect()
    model.kept[0] = _request(1)
    log.collect()
    assert [request.status for request in log.by_session()["session"]] == ["completed"] * 2
    assert log.lost == []


def test_it_notices_what_it_has_missed() -> None:
    model = _Model()
    log = ModelLog(model)
    model.sees(_request(1), _request(2, open=True), _request(3))
    log.collect()
    model.sees(*(_request(number) for number in range(4, 9)))
    log.collect()
    assert log.lost == [2, 4, 5]  # the end of 2 was not seen
    model.sees(_request(9))
    log.collect()
    assert log.lost == [2, 4, 5]
