"""What each `lora` command that writes a file does, from its arguments to the finished file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from lib_copier.errors import FaultsError, InputError
from lib_copier.lora.bake import merge_into_checkpoint
from lib_copier.lora.blockweight import layer_weights
from lib_copier.lora.combine import combine
from lib_copier.lora.console import Console
from lib_copier.lora.device import Device, choose_device
from lib_copier.lora.extract import extract
from lib_copier.lora.file import check_output_name, read_adapter, write_lora
from lib_copier.lora.layer import Lora
from lib_copier.lora.match import plan_merge, weights_for
from lib_copier.lora.metadata import (
    checkpoint_metadata,
    combined_metadata,
    extracted_metadata,
    file_note,
    input_note,
    recipe_note,
    resized_metadata,
)
from lib_copier.lora.peft import adapter_file
from lib_copier.lora.rank import RankPolicy
from lib_copier.lora.report import Report, plot_energy
from lib_copier.lora.resize import resize
from lib_copier.lora.source import open_checkpoint
from lib_copier.model_file.checkpoint import facts_from
from lib_copier.model_file.families import SD2, SDXL, Family
from lib_copier.model_file.header import same_file


def merge(arguments: argparse.Namespace, console: Console) -> int:
    """`lora merge`: into a checkpoint with --sd_model, else into one LoRA."""
    ratios = _ratios(arguments)
    output = _output(arguments, [*arguments.models, *([arguments.sd_model] if arguments.sd_model else [])])
    if arguments.sd_model:
        return _merge_into_checkpoint(arguments, ratios, output, console)
    policy = None
    if arguments.new_rank is not None:
        policy = RankPolicy(arguments.new_rank, arguments.new_conv_rank)
    elif arguments.new_conv_rank is not None:
        raise InputError("--new_conv_rank needs --new_rank.", "Give both, or neither for the exact sum.")
    return _combine(arguments, ratios, output, policy, console)


def svd_merge(arguments: argparse.Namespace, console: Console) -> int:
    """`lora svd-merge`: the best LoRA of a rank for a weighted sum."""
    ratios = _ratios(arguments)
    output = _output(arguments, arguments.models)
    return _combine(
        arguments, ratios, output, RankPolicy(arguments.new_rank, arguments.new_conv_rank), console
    )


def _combine(
    arguments: argparse.Namespace,
    ratios: Sequence[float],
    output: Path,
    policy: RankPolicy | None,
    console: Console,
) -> int:
    device = _device(arguments, console)
    lbws = getattr(arguments, "lbws", None)
    weights = None if lbws is None else layer_weights(lbws, len(ratios))
    loras = [(read_adapter(path), ratio) for path, ratio in zip(arguments.models, ratios, strict=True)]
    result, report = combine(
        loras,
        policy,
        save_precision=arguments.save_precision,
        layer_weight=weights,
        may_leave_out=arguments.allow_unmatched,
        device=device,
        progress=console.progress,
    )
    metadata = combined_metadata([lora for lora, _ in loras], output, has_metadata=not arguments.no_metadata)
    options = {
        "new_rank": arguments.new_rank,
        "new_conv_rank": arguments.new_conv_rank,
        "lbws": lbws,
        "save_precision": arguments.save_precision,
    }
    metadata |= recipe_note(report.command, [input_note(lora, ratio) for lora, ratio in loras], options)
    _finish(result, report, metadata, output, arguments, console)
    return 0


def resize_command(arguments: argparse.Namespace, console: Console) -> int:
    """`lora resize`: one LoRA at a lower rank."""
    policy = RankPolicy(
        arguments.new_rank, arguments.new_conv_rank, arguments.dynamic_method, arguments.dynamic_param
    )
    output = _output(arguments, [arguments.model, *([arguments.sd_model] if arguments.sd_model else [])])
    device = _device(arguments, console)
    lora = read_adapter(arguments.model)
    with ExitStack() as stack:
        weights = None
        if arguments.sd_model:
            source = open_checkpoint(arguments.sd_model)
            stack.callback(source.close)
            weights = weights_for(source, lora)
        result, report = resize(
            lora,
            policy,
            weights=weights,
            may_leave_out=arguments.allow_unmatched,
            save_precision=arguments.save_precision,
            device=device,
            progress=console.progress,
        )
    before = max(layer.rank for layer in lora.layers.values())
    if policy.method is None:
        conv = "" if policy.conv_rank in (None, policy.rank) else f" (conv: {policy.conv_rank})"
        comment = f"dimension is resized from {before} to {policy.rank}{conv}"
    else:
        comment = f"Dynamic resize with {policy.method}: {policy.param} from {before}"
    options = {
        "new_rank": policy.rank,
        "new_conv_rank": policy.conv_rank,
        "dynamic_method": policy.method,
        "dynamic_param": policy.param,
        "save_precision": arguments.save_precision,
    }
    metadata = resized_metadata(lora, output, comment) | recipe_note("resize", [input_note(lora)], options)
    _finish(result, report, metadata, output, arguments, console)
    return 0


def _device(arguments: argparse.Namespace, console: Console) -> Device:
    device = choose_device(arguments.device)
    console.tell_device(device.kind)
    return device


def _finish(
    result: Lora,
    report: Report,
    metadata: dict[str, str],
    output: Path,
    arguments: argparse.Namespace,
    console: Console,
) -> None:
    """Write a LoRA with its error in the metadata, and tell what was done."""
    write_lora(result, output, arguments.save_precision, metadata | report.metadata())
    if getattr(arguments, "plot", None):
        plot_energy(report, Path(arguments.plot))
    lines = [*report.lines(verbose=getattr(arguments, "verbose", False)), f"saved {output}"]
    console.done(lines, {**report.as_json(), "output": str(output)})


def _merge_into_checkpoint(
    arguments: argparse.Namespace, ratios: Sequence[float], output: Path, console: Console
) -> int:
    device = _device(arguments, console)
    if arguments.new_rank is not None or arguments.new_conv_rank is not None:
        raise InputError("--new_rank has no meaning with --sd_model.", "Leave it out.")
    loras = [(read_adapter(path), ratio) for path, ratio in zip(arguments.models, ratios, strict=True)]
    source = open_checkpoint(arguments.sd_model)
    try:
        plan = plan_merge(source, loras)
        _check_family_flags(arguments, plan.family, arguments.sd_model)
        if plan.unmatched:
            told = ", ".join(plan.unmatched[:5]) + (", ..." if len(plan.unmatched) > 5 else "")
            sentence = f"{len(plan.unmatched)} LoRA layers have no weight in {arguments.sd_model}: {told}"
            if not arguments.allow_unmatched:
                raise InputError(f"{sentence}.", "Give --allow_unmatched to merge the others.")
            console.say(f"left out: {sentence}")
        notes = [file_note(arguments.sd_model), *(input_note(lora, ratio) for lora, ratio in loras)]
        header = source.header
        facts = facts_from(header.shapes, header.metadata, source.path, allow_inpainting=True)
        metadata = checkpoint_metadata(
            header.metadata,
            [lora for lora, _ in loras],
            output,
            has_new=not arguments.no_metadata,
            is_v_prediction=arguments.v_parameterization or facts.prediction == "v_prediction",
        )
        if not arguments.no_metadata:
            metadata |= recipe_note("merge", notes, {"save_precision": arguments.save_precision})
        report, seconds = merge_into_checkpoint(
            source,
            plan,
            output,
            save_precision=arguments.save_precision,
            metadata=metadata,
            device=device,
            progress=console.progress,
        )
    finally:
        source.close()
    if not arguments.save_precision and any(info.quantised for info in source.header.tensors.values()):
        console.say("scaled fp8: its weights are written as fp16, what they stand for")
    told = f"{len(report.layers)} layers merged in {seconds.write:.1f} s, flushed in {seconds.flush:.1f} s"
    error = f"what was stored differs from the exact sum by {report.error:.2e} of the change"
    result = {**report.as_json(), "output": str(output), "unmatched": list(plan.unmatched)}
    result["seconds"] = {"write": seconds.write, "flush": seconds.flush}
    console.done([told, error, *report.remarks, f"saved {output}"], result)
    return 0


def extract_command(arguments: argparse.Namespace, console: Console) -> int:
    """`lora extract`: tuned − original as a LoRA."""
    if arguments.v2 and arguments.sdxl:
        raise InputError("--v2 and --sdxl exclude each other.", "Leave both out: the family is found out.")
    for flag, value in (("dim", arguments.dim), ("conv_dim", arguments.conv_dim)):
        if value is not None and value < 1:
            raise InputError(f"--{flag} is {value}.", "Give a rank of 1 or more.")
    if arguments.min_diff < 0:
        raise InputError(f"--min_diff is {arguments.min_diff}.", "Give 0 or more.")
    output = _output(arguments, [arguments.model_org, arguments.model_tuned])
    device = _device(arguments, console)
    original = open_checkpoint(arguments.model_org)
    try:
        tuned = open_checkpoint(arguments.model_tuned)
        try:
            result, report = extract(
                original,
                tuned,
                RankPolicy(arguments.dim, arguments.conv_dim),
                min_diff=arguments.min_diff,
                save_precision=arguments.save_precision,
                device=device,
                progress=console.progress,
            )
        finally:
            tuned.close()
    finally:
        original.close()
    if result.family is not None:
        _check_family_flags(arguments, result.family, arguments.model_org)
    notes = [file_note(arguments.model_tuned), file_note(arguments.model_org)]
    options = {
        "dim": arguments.dim,
        "conv_dim": arguments.conv_dim,
        "min_diff": arguments.min_diff,
        "save_precision": arguments.save_precision,
    }
    metadata = extracted_metadata(
        result.family,
        output,
        is_v_prediction=arguments.v_parameterization,
        has_metadata=not arguments.no_metadata,
    ) | recipe_note("extract", notes, options)
    _finish(result, report, metadata, output, arguments, console)
    return 0


def _ratios(arguments: argparse.Namespace) -> list[float]:
    """One ratio for each LoRA."""
    ratios = arguments.ratios or [1.0] * len(arguments.models)
    if len(ratios) != len(arguments.models):
        raise InputError(
            f"{len(arguments.models)} --models but {len(ratios)} --ratios were given.",
            "Give one ratio for each LoRA.",
        )
    return list(ratios)


def _output(arguments: argparse.Namespace, inputs: Sequence[str]) -> Path:
    """The file to write; never one of the inputs, and only as safetensors."""
    output = Path(arguments.save_to)
    check_output_name(output)
    files = [adapter_file(Path(path)) for path in inputs]
    missing = [f"{path}: no such file" for path in files if not path.is_file()]
    if missing:
        raise FaultsError("The inputs", missing, "Check the paths.")
    clash = next((path for path in files if same_file(path, output)), None)
    if clash is not None:
        raise InputError(f"--save_to {output} is also an input.", "Save under another name.")
    if not output.absolute().parent.is_dir():
        raise InputError(f"{output.parent}: no such folder.", "Make it, or choose another place to save to.")
    return output


def _check_family_flags(arguments: argparse.Namespace, family: Family, path: str) -> None:
    """--v2 and --sdxl only state what is found out anyway; a contradiction is a mistake."""
    for flag, expected in (("v2", SD2), ("sdxl", SDXL)):
        if getattr(arguments, flag, False) and family is not expected:
            raise InputError(f"--{flag} was given, but {path} is {family.label}.", f"Leave out --{flag}.")
