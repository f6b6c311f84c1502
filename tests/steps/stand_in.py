"""Plays the children of a run: as fast as can be, the same bytes for the same work, with state to resume.

Called as a Python: ``stand_in.py -m lib_copier.PART …``. Parts that it does not play run for real.
Environment: STAND_IN_TICK (seconds a training step takes), STAND_IN_FAIL (a part that fails), STAND_IN_MISS
(measuring jobs whose numbers are poor), STAND_IN_VARY (what is measured differs from file to file).
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
import time
import zlib
from pathlib import Path

TICK = float(os.environ.get("STAND_IN_TICK", "0"))


def emit(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def digest(*parts: object) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        found.update(part if isinstance(part, bytes) else repr(part).encode())
    return found.digest()


def write(path: Path, content: bytes) -> None:
    """In two halves, so that a kill between them leaves a broken file."""
    half = len(content) // 2
    with path.open("wb") as file:
        file.write(content[:half])
        file.flush()
        if TICK:
            time.sleep(TICK)
        file.write(content[half:])


def lora(path: Path, seed: bytes, **metadata: str) -> None:
    names = ("lora_unet_x.lora_down.weight", "lora_unet_x.lora_up.weight")
    up = {"dtype": "F32", "shape": [1, 8], "data_offsets": [0, 32]}
    down = {"dtype": "F32", "shape": [8, 1], "data_offsets": [32, 64]}
    values = [byte / 256 for byte in seed[:16]]
    times = {"ss_training_started_at": str(time.time()), "ss_output_name": path.stem}
    header = {"__metadata__": {**times, **metadata}, names[0]: up, names[1]: down}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    write(path, struct.pack("<Q", len(text)) + text + struct.pack("<16f", *values))


def tensors(path: Path) -> bytes:
    """What a file holds, its metadata aside."""
    content = path.read_bytes()
    if path.suffix != ".safetensors" or len(content) < 8:
        return content
    length = struct.unpack("<Q", content[:8])[0]
    return content[8 + length :] if length < len(content) else content


def picture(path: Path, seed: bytes) -> None:
    """A PNG of 8 × 8 grey pixels, written by hand: loading Pillow would take longer than all the rest."""
    rows = b"".join(b"\0" + (seed * 2)[8 * row : 8 * row + 8] for row in range(8))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    ]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def train(config_path: str) -> None:
    config = json.loads(Path(config_path).read_text())
    content = [tensors(Path(entry["path"])) for entry in config["pictures"] + config["base_loras"]]
    paths = {
        "output",
        "work_dir",
        "pictures",
        "base_loras",
        "checkpoint",
        "vae",
        "state_every",
        "sample_every",
        "sample_prompts",
    }
    settings = sorted((key, repr(value)) for key, value in config.items() if key not in paths)
    work = Path(config["work_dir"])
    state = work / "state.pt"
    done = int(state.read_text() or 0) if state.is_file() else 0
    control = os.environ.get("COPIER_LORA_CONTROL")
    steps = 6
    for step in range(done, steps):
        if control and Path(control).is_file():
            steps = step
            break
        time.sleep(TICK)
        emit("progress", step=step + 1, total=steps, loss=0.5 / (step + 1))
        part = work / "state.part"
        part.write_text(str(step + 1))
        part.replace(state)
    if config["sample_every"]:
        (work / "samples").mkdir(exist_ok=True)
        for index, prompt in enumerate(config["sample_prompts"]):
            picture(work / "samples" / f"{index}.png", digest(prompt))
    (work / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5}\n')
    lora(Path(config["output"]), digest(settings, content, steps))
    emit("done", output=config["output"], steps=steps, seconds=0.1)


def algebra(arguments: list[str]) -> None:
    values: dict[str, list[str]] = {}
    for word in arguments[1:]:
        if word.startswith("--"):
            values[word] = []
        else:
            values[list(values)[-1]].append(word)
    out = Path(values.pop("--save_to")[0])
    parts = []
    for words in values.values():
        parts += [tensors(Path(word)) if word.endswith(".safetensors") else word.encode() for word in words]
    lora(out, digest(arguments[0], *parts))
    emit("done", output=str(out))


def image(job: dict) -> None:
    source = Path(job.get("picture") or job["edited"]).read_bytes()
    seed = digest(source, job.get("chain"))
    output = Path(job["output"])
    if job["job"] == "pair":
        for name in ("edited.png", "heat.png", "mask.png"):
            picture(output / name, seed)
    else:
        for path in (output, *(Path(job[name]) for name in ("heat", "mask") if name in job)):
            picture(path, seed)
    emit("done", output=str(output), changed=0.5)


def generate(arguments: list[str]) -> None:
    if "--requests" in arguments:
        told = json.loads(Path(arguments[arguments.index("--requests") + 1]).read_text())
        for request, path in zip(told["requests"], told["paths"], strict=True):
            picture(Path(path), drawn(f"--prompt={request['prompt']}", f"--seed={request['seed']}"))
        for path in told.get("walks", ()):
            Path(path).write_bytes(b"walk")
        emit("done", paths=told["paths"])
        return
    out = Path(arguments[arguments.index("--out") + 1])
    picture(out, drawn(*(word for word in arguments if word.startswith(("--prompt", "--seed")))))
    emit("done", paths=[str(out)])


def drawn(*words: str) -> str:
    """Alone or with others, the same prompt and seed give the same picture."""
    return digest(sorted(words))


MEASURED = {
    "copier-check": ({"psnr_db": {"median": 27.0, "min": 25.0, "ceiling": 29.0}, "sheet": "00_+0.00.png"},
                     {"psnr_db": {"median": 20.0, "min": 14.2, "ceiling": 29.0}, "sheet": "00_+0.00.png"}),
    "calibrate": ({"gain": 1.5, "bound": "", "strength": 1.0, "leak": 0.01},
                  {"gain": 1.0, "bound": "beyond it more than 0.05 leaks", "strength": 0.5, "leak": 0.05}),
    "vae-survival": ({"share": 0.8}, {"share": 0.04}),
    "sweep": ({"rank_correlation": 0.98, "strength": 0.9, "leak": 0.01},
              {"rank_correlation": 0.31, "strength": 0.9, "leak": 0.4}),
    "rule": ({"share": 0.97, "cues": ["colour"], "is_true": True, "sentence": "A rule tells all."},
                {"share": 0.1, "cues": ["colour"], "is_true": False, "sentence": "No rule was found."}),
}  # fmt: skip
"""What each job measures, good and poor."""


def measure(job: dict) -> None:
    if job["job"] == "pairs":
        judge(job)
        return
    is_poor = job["job"] in os.environ.get("STAND_IN_MISS", "").split()
    result = {"job": job["job"], "pictures": len(job.get("prompts", ())), **MEASURED[job["job"]][is_poor]}
    if os.environ.get("STAND_IN_VARY"):
        result |= varied(job)
    if job["job"] == "sweep":
        names = [[f"{row:02d}_+0.00.png"] for row in range(len(job["prompts"]))]
        result |= {"weights": [0.0], "pictures": names, "prompts": job["prompts"]}
    output = Path(job["output"])
    (output / "result.json").write_text(json.dumps(result))
    if job["job"] == "calibrate":
        lora(output / "lora.safetensors", digest(tensors(Path(job["lora"])), result))
    if job["job"] == "rule":
        (output / "rule.safetensors").write_bytes(json.dumps(result).encode())
        picture(output / "sheet.png", digest(result))
    for row in range(len(job.get("prompts", ()))):
        picture(output / f"{row:02d}_+0.00.png", digest(result))
    emit("done", **result)


def judge(job: dict) -> None:
    """The last pair but one is left out."""
    output, names = Path(job["output"]), job["names"]
    for name, path in zip(names, job["pictures"], strict=False):
        picture(output / f"{name}.png", digest(Path(path).read_bytes(), job["chain"]))
    rule = json.loads(Path(job["rule"]).read_text()) if job.get("rule") else {"is_true": True}
    names = names if rule["is_true"] else names[len(job["pictures"]) :]
    result = {"kept": [*names[:-2], names[-1]], "notes": [f"Pair {names[-2]} is left out: it is blank."]}
    (output / "result.json").write_text(json.dumps(result))
    emit("done", **result)


def varied(job: dict) -> dict:
    """Numbers that are decided by what is measured."""
    looked_at = job.get("lora") or job.get("edited") or job["origin"]
    share = digest(tensors(Path(looked_at)))[0] / 256
    if job["job"] == "copier-check":
        return {"psnr_db": {"median": 27.0, "min": 22.0 + 6 * share, "ceiling": 29.0}}
    return {"sweep": {"strength": 0.5 + share / 2}, "vae-survival": {"share": 0.4 + share / 2}}.get(
        job["job"], {}
    )


def work() -> None:
    """The worker: one job after the other, as lines on stdin tell them."""
    for line in sys.stdin:
        job = json.loads(line)
        if job["do"] != "job":
            continue
        emit("began", id=job["id"])
        os.environ["COPIER_LORA_CONTROL"] = job["control"]
        play(job["part"], job["arguments"])
        emit("ended", id=job["id"], exit_code=0)
        print(json.dumps({"event": "ended", "id": job["id"], "exit_code": 0}), file=sys.stderr, flush=True)


def main() -> None:
    part = sys.argv[2].removeprefix("lib_copier.")
    arguments = sys.argv[3:]
    if part == "worker":
        work()
        return
    if part not in PARTS:
        os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    play(part, arguments)


def play(part: str, arguments: list[str]) -> None:
    if os.environ.get("STAND_IN_FAIL") == part:
        sys.exit("RuntimeError: CUDA out of memory. Tried to allocate 2 GiB")
    if part != "image":
        emit("device", kind="CPU")
    PARTS[part](arguments)


PARTS = {
    "train": lambda arguments: train(arguments[0]),
    "lora": algebra,
    "image": lambda arguments: image(json.loads(Path(arguments[0]).read_text())),
    "measure": lambda arguments: measure(json.loads(Path(arguments[0]).read_text())),
    "generate": generate,
}

if __name__ == "__main__":
    main()
