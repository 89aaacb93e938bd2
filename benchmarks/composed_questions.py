"""Check composed questions of each depth by an oracle that reads their sentences.

    python -m benchmarks.composed_questions [--n 250] [--gallery FILE.html] [--out FILE]

The questions are about scenes of the demo. Each is accepted by the simulator's tests before it is checked; what these
reject is counted by its reason. The oracle (benchmarks/composed_oracle.py) sees the sentence, the options, the id image
and the boxes, but no program. Times are processor time.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, Optional

import numpy as np
from PIL import Image

from benchmarks.composed_oracle import Views, answer
from benchmarks.machine import describe_machine
from proposer.composer.bind import bind
from proposer.composer.draw import draw_form
from proposer.composer.forms import depth
from proposer.composer.kinds import kind_of
from proposer.composer.looks import Look
from proposer.service import png
from protocol.run.config import load
from protocol.seeds import pick, rng_for
from protocol.tasks.specs import World, camera_for, training_scene, world_of
from protocol.tasks.task import Episode, TaskSpec
from protocol.wire.codec import Packet
from protocol.wire.messages import Annotate, Annotated, Describe, Description, Rejected, RenderTask
from sim_server.service.core import SimCore
from sim_server.settings import SimSettings

DEMO = Path(__file__).parents[1] / "configs" / "demo.toml"
OUT = Path(__file__).parent / "results" / "composed.json"
DEPTHS = (1, 2, 3, 4)
_LOOKS, _PER_SCENE = 4, 12
_SEED = 11


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=250, help="accepted questions of each depth")
    parser.add_argument("--gallery", type=Path, help="HTML file for 15 questions of each depth with their images")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file for the figures")
    options = parser.parse_args()
    core, world = SimCore(SimSettings()), world_of(load([DEMO], []))
    rows, shown = [], []
    for wanted in DEPTHS:
        row, examples = _audit(core, world, wanted, options.n)
        rows.append(row)
        shown += examples
        print({key: value for key, value in row.items() if key not in ("examples", "different")}, flush=True)
        for one in row["different"]:
            print("  differs:", one)
    result = {"machine": describe_machine(), "renderer_digest": core.backend.digest, "seed": _SEED, "rows": rows}
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    if options.gallery:
        options.gallery.write_text("".join(shown))


def _audit(core: SimCore, world: World, wanted: int, most: int) -> tuple[dict[str, Any], list[str]]:
    started_s = time.process_time()
    rng = rng_for(_SEED, "composed", wanted)
    rejected: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    kinds: set[str] = set()
    different: list[dict[str, str]] = []
    examples: list[dict[str, str]] = []
    pictures: list[str] = []
    scene = 0
    while counts["accepted"] < most:
        scene += 1
        looks = looks_at(core, world, wanted * 100_000 + scene)
        for _ in range(_PER_SCENE if looks else 0):
            form = draw_form(rng, wanted)
            kind = kind_of(form)
            look = pick(looks, rng)
            bound = bind(form, look, kind.name, rng) if kind and depth(form) == wanted else None
            if kind is None or bound is None:
                continue
            spec = TaskSpec("q", _SEED, scene, look.spec, camera=look.camera, proposal=bound.proposal)
            reply, blobs = core.handle(RenderTask(spec, ("rgb", "depth", "ids"), examine=True))
            counts["examined"] += 1
            if isinstance(reply, Rejected):
                rejected[reply.rejections[0].code] += 1
                continue
            assert isinstance(reply, Episode)
            question = reply.question
            packet = Packet(b"", reply, [memoryview(blob) for blob in blobs])
            found = _oracle(core, look, packet)
            counts["accepted"] += 1
            counts["agree"] += found == question.answer
            counts["unread"] += found is None
            counts["foreseen"] += bound.answer == question.answer
            kinds.add(kind.name)
            if found != question.answer:
                different.append({"text": question.text, "answer": question.answer, "oracle": str(found)})
            if len(examples) < 15:
                examples.append({"text": question.text, "program": question.program, "answer": question.answer})
                pictures.append(_shown(packet, examples[-1], wanted, question.options))
            if counts["accepted"] == most:
                break
    return {
        "depth": wanted,
        **{name: counts[name] for name in ("examined", "accepted", "agree", "unread", "foreseen")},
        "kinds": len(kinds),
        "rejected": dict(rejected.most_common()),
        "cpu_s": round(time.process_time() - started_s, 1),
        "examples": examples[:5],
        "different": different,
    }, pictures


def looks_at(core: SimCore, world: World, number: int, images: bool = False) -> list[Look]:
    """Looks at training scene `number` of the world, with their images if wanted."""
    spec, camera = training_scene(world, _SEED, number), camera_for(world, _SEED, number)
    described, _ = core.handle(Describe(spec))
    annotated, blobs = core.handle(Annotate(spec, camera, _LOOKS, 0, (), _SEED, number, ("rgb",)))
    assert isinstance(described, Description) and isinstance(annotated, Annotated)
    packet = Packet(b"", annotated, [memoryview(blob) for blob in blobs])
    return [
        Look.of(
            *(spec, camera, described.scene, [(one.view.pose, one.objects)]),
            png(packet.array(one.view.rgb)) if images else b"",
        )
        for one in annotated.views
    ]


def _oracle(core: SimCore, look: Look, packet: Packet) -> Optional[str]:
    episode = packet.message
    assert isinstance(episode, Episode)
    described, _ = core.handle(Describe(look.spec))
    assert isinstance(described, Description)
    ids = np.stack([packet.array(view.ids) for view in episode.views if view.ids is not None])
    views = Views(described.scene, ids, episode.views[0].pose.position_m)
    return answer(episode.question.text, episode.question.options, views)


def _shown(packet: Packet, example: dict[str, str], wanted: int, options: tuple[str, ...]) -> str:
    images = []
    for view in packet.message.views:
        file = io.BytesIO()
        Image.fromarray(packet.array(view.rgb)).resize((288, 288), Image.Resampling.NEAREST).save(file, "PNG")
        images.append(f'<img src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">')
    words = (f"depth {wanted}", example["text"], " / ".join(options), example["answer"], example["program"])
    return f"<p>{''.join(images)}<br>{'<br>'.join(map(html.escape, words))}</p>\n"


if __name__ == "__main__":
    main()
