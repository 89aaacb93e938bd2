"""The resources server of NeMo Gym that scores answers to the rows of vantage.envs.for_nemo_gym.

NeMo Gym starts a server from a folder with a file app.py; ours has two lines:

    from vantage.envs.nemo_gym_server import QuestionServer
    QuestionServer.run_webserver()
"""

# No postponed annotations: NeMo Gym and FastAPI read the types of methods.

# pyright: reportMissingImports=false

from protocol.answers.prompt import Style
from vantage.envs.questions import Ticket
from vantage.envs.versions import need

need("nemo-gym", (0, 4), "nemo-gym")

from nemo_gym.base_resources_server import (  # noqa: E402 - after the check of the version
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)


class QuestionRequest(BaseVerifyRequest):
    ticket: str
    style: Style = "letters"


class QuestionResponse(BaseVerifyResponse):
    skill: str
    readable: bool


class QuestionServer(SimpleResourcesServer):
    """Rewards are 0 to 1, by rule. A ticket that was leased from a curriculum is also recorded for its report."""

    config: BaseResourcesServerConfig

    async def verify(self, body: QuestionRequest) -> QuestionResponse:
        ticket = Ticket.parse(body.ticket)
        reward = ticket.answer(body.response.output_text or "", body.style)
        return QuestionResponse(
            responses_create_params=body.responses_create_params,
            response=body.response,
            reward=reward.accuracy,
            skill=ticket.question.skill,
            readable=reward.readable,
        )
