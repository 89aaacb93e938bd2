"""What the model is told, and the JSON schema of its answer."""

from __future__ import annotations

import json
from typing import Any, Mapping

from proposer.composer.looks import Look
from protocol.wire.proposals import ProposalRequest

_MOST_OBJECTS = 40
_MOST_SKILLS = 20

# Examples of the functions that a question about one image needs; docs/reference/language.md lists all.
LANGUAGE = """\
object(3)                                  the object with id 3
visible(view(0))                           the objects of the image
where(visible(view(0)), category="chair")  those of a category or a color
filter(visible(view(0)), a: a != object(3))
argmin(visible(view(0)), a: image_x(a, view(0)))  also argmax
count(visible(view(0)))
name(object(3))  category(object(3))  color(object(3))
image_x(object(3), view(0))  image_y(object(3), view(0))   0..1 from the left and from the top
distance_from_camera(object(3), view(0))   meters
closest_distance(object(3), object(4))     meters
longest_side(object(3))                    meters
round(longest_side(object(3)), to=0.1)
if image_x(object(3), view(0)) < 0.5 then "left" else "right"
Operators: + - * / < <= > >= == != and or not
"""

_TASK = """\
You write questions about spatial relations in an image of a room. Each question comes with a program that computes its
answer from the scene. Name each object of the program in the question by its color and category, and name no other
one. The program must depend on the image: a question that can be guessed, or whose answer is in its text, is rejected.
Answer with JSON only:
{"questions": [{"text": ..., "program": ..., "answer_type": "choice" or "number", "options": [...]}]}
A program that answers yes or no needs no options; a text needs every possible answer among the options.
"""


def schema(questions: int) -> dict[str, Any]:
    """The JSON schema of an answer."""
    text = {"type": "string", "minLength": 1, "maxLength": 400}
    question = {
        "type": "object",
        "properties": {
            "text": text,
            "program": {**text, "maxLength": 2000},
            "answer_type": {"type": "string", "enum": ["choice", "number"]},
            "options": {"type": "array", "items": {**text, "maxLength": 80}, "maxItems": 16},
        },
        "required": ["text", "program", "answer_type", "options"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"questions": {"type": "array", "items": question, "minItems": 1, "maxItems": questions}},
        "required": ["questions"],
        "additionalProperties": False,
    }


def messages(request: ProposalRequest, look: Look, questions: int) -> list[Mapping[str, Any]]:
    """The conversation that asks for this number of questions about a look."""
    objects = [
        {
            "id": key,
            "name": look.name(key),
            "image_x": round(truth.u, 2),
            "image_y": round(truth.v, 2),
            "depth_m": round(truth.depth_m, 1),
            "clear": key in look.clear(),
        }
        for key, truth in list(look.seen[0].items())[:_MOST_OBJECTS]
    ]
    skills = [
        f"{cell.skill} level {cell.level}: {cell.success_rate:.0%} right"
        for cell in sorted(request.cells, key=lambda cell: -cell.share)[:_MOST_SKILLS]
    ]
    kinds = [
        f"{status.success_rate:.0%} right{', more are wanted' if status.wanted else ''}: {status.example}"
        for status in request.kinds
        if status.example
    ]
    refusals = [f"{refusal.code}: {refusal.message} ({refusal.text})" for refusal in request.refusals[-8:]]
    parts = {
        "The language of programs": LANGUAGE,
        "The image shows": json.dumps(objects),
        "What the policy can do": "\n".join(skills),
        "Questions of yours that are asked": "\n".join(kinds),
        "Your last questions that were rejected, with the reason": "\n".join(refusals),
    }
    text = "\n\n".join(f"{title}:\n{part}" for title, part in parts.items() if part)
    return [
        {"role": "system", "content": _TASK},
        {"role": "user", "content": f"{text}\n\nWrite {questions} different questions of moderate difficulty."},
    ]
