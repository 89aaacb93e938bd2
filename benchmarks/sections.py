"""The tables of benchmarks/results/README.md: each function turns one result file into Markdown parts."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

RELATIONS = ("depth_order", "view_direction", "relative_distance")
_REASONS = {
    "depth_order": "nearer or farther",
    "view_direction": "left or right in the image",
    "relative_distance": "which object is closest",
}


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def percent(fraction: float, places: int = 0) -> str:
    return f"{100 * fraction:.{places}f} %"


# ----------------------------------------------------------------------------- learning and curriculum


def demo_table(result: Any) -> str:
    """Held-out scores before and after the demo, in per cent; the README shows this table."""
    runs = [run for run in result["runs"] if run["objective"] != "grpo"]
    seeds = " · ".join(str(run["seed"]) for run in runs)

    def row(name: str, before: float, after: Iterable[float]) -> tuple[str, str, str]:
        return name, f"{100 * before:.0f}", " · ".join(f"{100 * value:.0f}" for value in after)

    skills = [*RELATIONS, *(name for name in runs[0]["skills"] if name not in RELATIONS)]
    rows = [
        row(
            f"{name} ({_REASONS[name]})" if name in _REASONS else name,
            runs[0]["skills"][name]["before"],
            (run["skills"][name]["after"] for run in runs),
        )
        for name in skills
    ]
    for label, key in (("**mean of the three relations**", "relational"), ("same, sampled", "relational_sampled")):
        means = row(label, runs[0][f"{key}_before"], (run[f"{key}_after"] for run in runs))
        rows.insert(3 + (key != "relational"), means)
    return table(("skill", "before", f"after, seed {seeds}"), rows)


def learning(result: Any) -> Iterable[str]:
    yield demo_table(result)
    names = ("generated", "distinct", "presented", "answers")
    rows = [
        (
            *(run["objective"], run["seed"], run["steps"], run["minutes"], *(run[name] for name in names)),
            f"{100 * run['relational_before']:.0f} → {100 * run['relational_after']:.0f}",
        )
        for run in result["runs"]
    ]
    yield "Questions of each run. `grpo` is GRPO alone, without screening, replay and true answers:\n"
    yield table(("objective", "seed", "steps", "minutes of loop", *names, "relations"), rows)
    parts = sorted({part for run in result["runs"] for part in run["seconds"]})
    steps = [
        (run["objective"], run["seed"], *(f"{run['seconds'].get(part, 0.0):.2f}" for part in parts))
        for run in result["runs"]
    ]
    yield "Seconds of a step:\n"
    yield table(("objective", "seed", *parts), steps)


def efficiency(result: Any) -> Iterable[str]:
    measures, runs = ("relations", "all"), result["runs"]
    counts = {"generated": "generated", "distinct": "distinct", "presented": "presented", "answers": "answers sampled"}
    arms = list(dict.fromkeys(run["arm"] for run in runs))

    before = {measure: f"{100 * result['summary'][measure]['before']:.1f}" for measure in measures}
    ends = {measure: {arm: iter(result["summary"][measure]["after"][arm]) for arm in arms} for measure in measures}
    rows = [
        (
            *(f"`{run['arm']}`", run["seed"], run["steps"]),
            *(f"{run[count]:.0f}" for count in (*counts, "cpu_s")),
            *(f"{100 * next(ends[measure][run['arm']]):.1f}" for measure in measures),
        )
        for run in runs
    ]
    heads = (f"relations, from {before['relations']}", f"all skills, from {before['all']}")
    yield table(("arm", "seed", "steps", *counts.values(), "CPU s", *heads), rows)

    def cell(seeds: Sequence[Any], count: str) -> str:
        return " · ".join("–" if one is None else str(one[count]) for one in seeds)

    for count, title in (("distinct", "Distinct questions"), ("presented", "Questions presented"), ("cpu_s", "CPU s")):
        needed = {measure: result["summary"][measure]["needed"] for measure in measures}
        targets = [(m, t, needed[m][t]) for m in measures for t in needed[m] if round(100 * float(t)) % 4 == 0]
        yield f"{title} until a score is reached, per seed; – if it is not:\n"
        heads = [f"{measure} {100 * float(target):.0f}" for measure, target, _ in targets]
        lines = [(f"`{arm}`", *(cell(by_arm[arm], count) for _, _, by_arm in targets)) for arm in arms]
        yield table(("arm", *heads), lines)


def selectors(result: Any) -> Iterable[str]:
    budget = result["budget"]
    rows = [
        (
            f"`{name}`",
            f"> {budget}" if row["median_questions"] >= budget else f"{row['median_questions']:.0f}",
            f"{row['reached']} of {result['seeds']}",
            *(percent(row["no_gradient"]), percent(row["noise"]), f"{100 * row['mastered_fall']:.1f}"),
        )
        for name, row in result["summary"].items()
    ]
    head = ("selector", "questions (median)", f"reached within {budget}", "groups without gradient")
    yield table((*head, "asked of the random skill", "mastered skills fell by (points)"), rows)


# ----------------------------------------------------------------------------- simulator


def render(result: Any) -> Iterable[str]:
    rows = [
        (
            f"{kind['kind']} ({kind['objects_mean']:.0f} objects)",
            f"{row['width_px']} × {row['height_px']}",
            *(f"{row[key]:.0f}" for key in ("rgb_depth_ids_per_s", "depth_ids_per_s", "amodal_per_s")),
        )
        for kind in result["kinds"]
        for row in kind["rates"]
    ]
    yield table(("scene", "size", "RGB, depth, ids", "depth, ids", "unoccluded pixel counts"), rows)
    rows = [
        (one["kind"], one["objects_mean"], *(f"{one[f'p{p}_ms']:.0f}" for p in (50, 90, 95, 100)))
        for one in result["openings"]
    ]
    yield "Opening a scene, light included, in CPU-milliseconds:\n\n" + table(
        ("scene", "objects (mean)", "median", "90 %", "95 %", "maximum"), rows
    )
    start, scaling = result["start_up"], result["scaling"]
    yield (
        f"Peak memory {result['max_rss_mib']:.0f} MiB. A fresh process is ready after {start['cold_cpu_s']:.0f} "
        f"CPU-seconds with kernels to compile and {start['warm_cpu_s']:.1f} with cached ones. {scaling['workers']} "
        f"processes at once each run at {percent(scaling['efficiency'])} of the rate of one."
    )


_PEERS = {
    "rooms": "rooms: textures, baked light",
    "embree": "Embree: primary rays only, no image",
    "mujoco": "MuJoCo on EGL: three passes, shadows",
    "moderngl": "moderngl: one pass, headlight, no textures or shadows",
    "pyrender": "pyrender: two passes, no shadows",
    "pybullet": "pybullet TinyRenderer: shadows",
}


def peers(result: Any) -> Iterable[str]:
    ours = next(peer["rates"] for peer in result["peers"] if peer["name"] == "rooms")
    rows = [
        (
            _PEERS[peer["name"]],
            *(f"{rate:.0f} ({ours[size] / rate:.1f})" for size, rate in peer["rates"].items()),
            percent(peer["ids_same_at_least"], 2),
        )
        for peer in result["peers"]
    ]
    yield table(("renderer", *(size.replace("x", " × ") for size in ours), "equal ids, at least"), rows)


def overhead(result: Any) -> Iterable[str]:
    rows = [
        (
            f"{row['width_px']}²",
            f"{row['raw_frames_per_s']:.0f}",
            f"{row['quietest_overhead_percent']:.1f} %",
            f"{row['quietest_added_p50_ms']:.1f} ms",
            f"{row['quietest_added_p50_at_once_ms']:.1f} ms",
        )
        for row in result["figures"]
    ]
    head = ("view", "raw frames/s", "throughput lost", "added to the median reply, other work in between")
    yield table((*head, "added, one request after the other"), rows)


def wire(result: Any) -> Iterable[str]:
    names = {
        "status": "status request, round trip",
        "observe": "256² view, round trip",
        "direct": "640 × 480 RGB, depth, ids: service to client",
        "broker": "the same from a worker through the broker",
    }
    rows = []
    for key, name in names.items():
        row = result["figures"][key]
        unit, field = ("ms", "p50_ms") if "p50_ms" in row else ("GB/s", "gb_per_s")
        rows.append((name, f"{row[field]} {unit}", f"{row[field + '_quietest_round']} {unit}"))
    yield table(("transfer", "median round", "quietest round"), rows)


def conformance(result: Any) -> Iterable[str]:
    rows = [
        (name, f"{row['ids_equal_percent']} %", f"{row['depth_median_mm']} mm", f"{row['depth_p99_mm']} mm")
        for name, row in [*result["recorded"].items(), ("export, read back", result["exported"])]
    ]
    yield table(("scene", "equal ids, all pixels", "depth error, median", "99th percentile"), rows)


def habitat(result: Any) -> Iterable[str]:
    agreed, asked, speed = result["agreement"], result["skills"], result["cost"]
    yield table(
        ("habitat-sim against `rooms` on the same exported homes", "value"),
        (
            ("conformance tests over the real library", _passed(result["tests"]["conformance"])),
            ("unit tests of the adapter over the real library", _passed(result["tests"]["unit"])),
            ("objects whose category, colour, room, support or front differ", agreed["objects_with_other_facts"]),
            ("corners of boxes, largest difference", f"{agreed['box_corners_max_mm']} mm"),
            ("equal ids, all pixels", f"{agreed['ids_equal_percent']} %"),
            ("equal ids after an object was removed or moved", f"{agreed['changed_ids_equal_percent']} %"),
            ("depth error, median and 99th percentile", f"{agreed['depth_median_mm']} and {agreed['depth_p99_mm']} mm"),
            ("visible fraction of an object, largest difference", agreed["visible_fraction_max_difference"]),
            ("colour where both show a surface, mean difference of 255", agreed["colour_mean_of_255"]),
            ("navigable points on which both agree", f"{agreed['navigable_equal_percent']} %"),
            ("shortest paths, ratio of lengths: median and range", _ratios(agreed)),
            ("specs realised in habitat and in `rooms`", _two(asked, "realised", asked["specs"])),
            ("answers confirmed by the oracle", _two(asked, "oracle_agrees")),
            ("same answer in the other simulator", _two(asked, "same_answer")),
            ("skills that are never feasible in habitat", ", ".join(asked["never_feasible_in_habitat"]) or "none"),
            ("bad scenes that cost one sentence and only themselves", _bad(result["defects"])),
            ("swaps of workers under load, failed requests", _swaps(result["swaps"])),
        ),
    )
    rates = {side: speed[side]["frames_per_cpu_s"] for side in ("habitat", "rooms")}
    rows = [(name.replace("_", ", ", name.count("_") - 1).replace("_", ", "), f"{rate:g}", f"{rates['rooms'][name]:g}")
            for name, rate in rates["habitat"].items()]  # fmt: skip
    rows.append(("starting the renderer, CPU-s", str(result["library"]["start_cpu_s"]), "–"))
    for key, label in (
        ("open_cpu_s_median", "opening a scene, CPU-s"),
        ("memory_mib_last", "memory after 50 loads, MiB"),
    ):
        rows.append((label, *(str(speed[side][key]) for side in ("habitat", "rooms"))))
    rows.append(("CPU-s per spec", *(str(asked[f"{side}_cpu_s_per_spec"]) for side in ("habitat", "rooms"))))
    yield table(("frames per CPU-second", "habitat", "rooms"), rows)


def _passed(summary: str) -> str:
    return ", ".join(part for part in summary.partition(" in ")[0].split(", ") if "deselected" not in part)


def _ratios(agreed: Any) -> str:
    low, high = agreed["geodesic_ratio_range"]
    return f"{agreed['geodesic_ratio_median']} ({low}–{high})"


def _two(asked: Any, key: str, of: int = 0) -> str:
    parts = [(asked[f"{side}_{key}"], of or asked[f"{side}_realised"]) for side in ("habitat", "rooms")]
    return " and ".join(f"{count} of {total}" for count, total in parts)


def _bad(defects: Any) -> str:
    return f"{defects['with_a_sentence']} of {defects['bad_scenes']}"


def _swaps(swaps: Any) -> str:
    return f"{swaps['swaps']} ({swaps['killed']} killed), {len(swaps['failed'])} of {swaps['answered']}"


# ----------------------------------------------------------------------------- questions and data


def audit(result: Any) -> Iterable[str]:
    rows = result["rows"]

    def total(key: str) -> int:
        return sum(row[key] for row in rows)

    rates = sorted((row["realised"] / row["specs"], f"{row['skill']} {row['level']}") for row in rows)
    often = sum(rate >= 0.9 for rate, _ in rates)
    rarest = ", ".join(f"{name} ({percent(rate)})" for rate, name in rates[:4])
    yield table(
        ("measure", "value"),
        (
            ("specs realised", f"{total('realised')} of {total('specs')}"),
            ("answers confirmed by the stored program", f"{total('holds')} of {total('realised')}"),
            ("answers confirmed by the oracle", f"{total('agrees')} of {total('realised')}"),
            ("cells realised in 90 % of specs or more", f"{often} of {len(rows)}"),
            ("rarest cells", rarest),
            ("CPU time per spec, median cell", f"{statistics.median(row['ms'] for row in rows):.0f} ms"),
        ),
    )
    skills: dict[str, list[Any]] = {}
    for row in rows:
        skills.setdefault(row["skill"], []).append(row)

    def mean(members: list[Any], key: str) -> float:
        return sum(row[key] * row["realised"] for row in members) / sum(row["realised"] for row in members)

    gains = {name: mean(members, "blind") - mean(members, "chance") for name, members in skills.items()}
    worst = sorted(gains, key=lambda name: -gains[name])[:5]
    gained = [(name, *(f"{mean(skills[name], key):.2f}" for key in ("chance", "blind"))) for name in worst]
    yield "The five skills in which the image-blind baseline gains most over chance:\n\n" + table(
        ("skill", "chance", "image-blind baseline"), gained
    )


def generate(result: Any) -> Iterable[str]:
    yield table(("stage", "CPU-milliseconds per row"), result["ms_per_row"].items())
    yield (
        f"One core writes {result['rows_per_s_and_core']} rows per second, {result['rows_per_s_and_core_net']} without "
        f"opening scenes and rendering, at {result['size_px']}² px with {result['renders_per_row']} camera placements "
        f"per row; {result['rows']} of {result['specs']} specs were realised, {result['kib_per_row']} KiB each."
    )
    rows = [(row["quality"], row["ms"], row["kib"], row["error_levels"]) for row in result["webp"]]
    yield table(("WebP quality", "ms per image", "KiB per image", "mean difference, levels of 255"), rows)


def language(result: Any) -> Iterable[str]:
    rows = [(f"`{row['name']}`", row["steps"], row["us"], row["us_per_step"]) for row in result["rows"][:5]]
    yield table(("slowest functions", "steps", "µs", "µs per step"), rows)
    yield f"The checker accepts programs of up to {result['max_cost']} steps: {result['longest_s']} s at most."


# ----------------------------------------------------------------------------- learner and robustness


def step(result: Any) -> Iterable[str]:
    parts = [name for name in result["packed_step_s"] if name != "total"]
    rows = [
        (name, *(f"{result[key].get(name, 0.0):.2f} s" for key in ("packed_step_s", "trl_step_s")))
        for name in (*parts, "total")
    ]
    yield table(("part of a step", "packed forward pass", "TRL's own forward pass"), rows)
    vllm = result["vllm"]
    yield table(
        (f"engine, {result['groups']} × {result['samples']} answers, {result['threads']} thread", "seconds"),
        (
            ("`transformers`", result["transformers_rollout_s"]),
            ("`vllm`, CPU build", vllm["rollout_s"]),
            ("`vllm`: publish and load an adapter", vllm["adapter_swap_s"]),
        ),
    )


def chaos(result: Any) -> Iterable[str]:
    frames = result["frames"]["figures"]
    keys = ("at_the_start", "after_half", "at_the_end")
    rows = [
        (row["socket"], f"{row['mutated_messages']:,}", *(f"{row[f'resident_mib_{key}']} MiB" for key in keys))
        for row in frames
    ]
    yield table(("socket", "mutated messages, service alive", "memory at the start", "after half", "at the end"), rows)
    rows = []
    for row in result["flood"]["figures"]:
        ratio = f"{row['ratio_of_medians']:.1f}"
        times = (*_pair(row["quiet_ms"]), *_pair(row["flooded_ms"]))
        rows.append((row["service"], f"{row['frames_of_the_flood']:,}", *times, ratio))
    columns = ("good client of", "frames of the flood", "quiet p50 ms", "p99", "flooded p50 ms", "p99", "ratio of p50")
    yield table(columns, rows)
    kills = result["kills"]["figures"]
    total = sum(kills["kills"].values())
    each = ", ".join(f"{name} {count}" for name, count in kills["kills"].items())
    yield (
        f"One run with `kill -9` after steps: {total} kills ({each}) in {kills['steps']} steps and {kills['minutes']} "
        f"minutes; {kills['reports']} reports in the event log, {kills['lost']} lost, {kills['doubled']} doubled."
    )
    rows = [(name, _outcome(row)) for name, row in result["storms"]["figures"].items()]
    yield table(("in the middle of a run", "outcome"), rows)
    yield from _corruptions(result["corruptions"]["figures"])
    rows = [(row["lie"], row["outcome"]) for row in result["liars"]["figures"]]
    yield table(("a worker that joins a run and answers with", "what the broker says of it"), rows)


def _pair(figures: Any) -> tuple[str, str]:
    return f"{figures['p50']:.1f}", f"{figures['p99']:.1f}"


def _outcome(row: Any) -> str:
    if "sentence" in row and "reports" not in row:
        return f"ends with: {row['sentence']}"
    text = f"ends well, {row['reports']} reports, {row['lost']} lost, {row['doubled']} doubled"
    if "sentence" in row:
        text += f"; said: {row['sentence']}"
    if "seconds_to_the_next_step" in row:
        text += f"; {row['seconds_to_the_next_step']} s from the freed space to the next step"
    return text


def _corruptions(cases: Any) -> Iterable[str]:
    harms = list(dict.fromkeys(case["harm"] for case in cases))
    words = {case["file"]: {} for case in cases}
    for case in cases:
        words[case["file"]][case["harm"]] = "ends well" if case["verdict"] == "done" else "a sentence"
    ended_well = sum(case["verdict"] == "done" for case in cases)
    yield (
        f"A stopped run of which one file or folder was damaged, started again: {len(cases)} cases, {ended_well} end "
        f"well, {len(cases) - ended_well} end with one sentence that says what to do."
    )
    yield table(("file", *harms), [(name, *(found.get(harm, "") for harm in harms)) for name, found in words.items()])


def shared_views(result: Any) -> Iterable[str]:
    names = ("per_view", "questions", "simulator_ms", "learner_ms", "both_ms")
    head = ("questions per view, at most", "in fact", "simulator", "learner", "both")
    yield table(head, ([f"{row[name]:g}" for name in names] for row in result["rows"]))
