"""lmms-eval, in an environment of its own, on an exported model: its spatial tasks, and a dataset of Vantage as a task.

write_task(dataset, folder)    the task `vantage` as files that lmms-eval includes
run_lmms(...)                  lmms-eval as a process; returns the scores that it wrote
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Mapping, Optional, Sequence

from protocol.errors import VantageError
from protocol.run.directory import parse_object
from protocol.run.files import read_regular

TASK = "vantage"
# lmms-eval's name of a model class, by model_type of config.json.
_MODELS = {
    "qwen3_vl": "qwen3_vl",
    "qwen3_vl_moe": "qwen3_vl",
    "qwen2_5_vl": "qwen2_5_vl",
    "internvl": "internvl_hf",
    "gemma3": "gemma3",
}
_YAML = """\
task: {task}
dataset_path: parquet
dataset_kwargs:
  data_files:
    test: {files}
test_split: test
output_type: generate_until
process_docs: !function utils.process_docs
doc_to_visual: !function utils.doc_to_visual
doc_to_text: !function utils.doc_to_text
doc_to_messages: !function utils.doc_to_messages
doc_to_target: ground_truth
process_results: !function utils.process_results
generation_kwargs:
  max_new_tokens: 16
  temperature: 0
  do_sample: false
metric_list:
{metrics}
metadata:
  version: 1.0
"""
_METRIC = "  - metric: {name}\n    aggregation: !function utils.{function}\n    higher_is_better: true"


def write_task(dataset: Path, folder: Path) -> None:
    """Write the task for a dataset of `sim-server generate` with Parquet files.

    Raises VantageError("bad_request") if the dataset has none.
    """
    shards = sorted((dataset / "shards").glob("shard-*/rows.parquet"))
    if not shards:
        raise VantageError(
            "bad_request",
            f"{dataset} has no Parquet files: write it with `sim-server generate --parquet --split val`.",
        )
    skills = sorted({json.loads(line)["question_type"] for shard in shards for line in _rows(shard)})
    metrics = [("overall", "mean_of_skills"), ("micro", "mean"), *((skill, "mean") for skill in skills)]
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("utils.py"), folder / "utils.py")
    text = _YAML.format(
        task=TASK,
        files=json.dumps([str(shard.resolve()) for shard in shards]),
        metrics="\n".join(_METRIC.format(name=name, function=function) for name, function in metrics),
    )
    (folder / f"{TASK}.yaml").write_text(text)


def _rows(shard: Path) -> list[bytes]:
    return read_regular(shard.with_name("rows.jsonl")).splitlines()


def model_name(model: Path) -> str:
    """lmms-eval's name of the class of an exported model. Raises VantageError("bad_config") if it has none."""
    if not (model / "config.json").is_file():
        raise VantageError("bad_config", f"{model} is not a model: name the folder merged/ of `learner export`.")
    kind = str(parse_object(read_regular(model / "config.json")).get("model_type"))
    if kind not in _MODELS:
        raise VantageError("bad_config", f"no model of lmms-eval is known for the class {kind}: name one with --as.")
    return _MODELS[kind]


def run_lmms(
    python: str,
    name: str,
    model_args: str,
    tasks: Sequence[str],
    out: Path,
    include: Optional[Path] = None,
    limit: Optional[int] = None,
) -> dict[str, Mapping[str, Any]]:
    """Run lmms-eval with this Python, in the folder `out`; its output goes to the terminal. Returns the scores of each
    task. Paths in `model_args` are absolute.

    Raises VantageError: "unsupported" if lmms-eval is not installed there, "internal" if it fails.
    """
    out, include = out.resolve(), include and include.resolve()
    out.mkdir(parents=True, exist_ok=True)
    python = str(Path(python).absolute()) if "/" in python else python  # not resolved: a link names the environment
    found = subprocess.run([python, "-c", "import lmms_eval"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        reason = (found.stderr.strip().splitlines() or ["no output"])[-1]
        raise VantageError(
            "unsupported",
            f"lmms-eval does not start with {python} ({reason}): install lmms-eval in an environment of its own, and "
            "name the Python of that with --python.",
        )
    command = [python, "-m", "lmms_eval", "--model", name, "--model_args", model_args, "--tasks", ",".join(tasks)]
    command += ["--batch_size", "1", "--log_samples", "--output_path", str(out)]
    command += ["--include_path", str(include)] if include else []
    command += ["--limit", str(limit)] if limit else []
    before = set(out.rglob("*results.json"))
    # In the folder `out`: lmms-eval takes a task for a folder if the working directory has one of that name.
    failed = subprocess.run(command, cwd=out, check=False).returncode != 0
    results = sorted(set(out.rglob("*results.json")) - before)
    if failed or not results:  # it ends with 0 after some errors
        raise VantageError("internal", "lmms-eval failed; its messages are above.")
    return parse_object(read_regular(results[-1]))["results"]
