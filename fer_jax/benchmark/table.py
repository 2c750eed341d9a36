"""The figures of `fer_jax.benchmark` for people."""

from collections.abc import Mapping
from typing import Any


def table(figures: Mapping[str, Any]) -> str:
    """Formats the figures for people."""
    shape = ' x '.join(map(str, figures['clip']))
    where = figures['device']
    peaks = ', '.join(
        f'{dtype} {peak / 1e9:.0f} GFLOP/s' for dtype, peak in figures['matmul_peak_flops'].items()
    )
    lines = [
        f'{figures["config"]}: batch {figures["batch"]} of {shape}, {figures["rounds"]} rounds, '
        f'{where["platform"]} ({where["kind"]}), {where["threads"]} threads',
        *filter(None, [figures['features']]),
        f'matrix product peak: {peaks}; a step has {figures["step_flops"] / 1e9:.1f} GFLOP',
        '',
        f'{"training step":<16}{"ms":>10}{"lowest":>10}{"highest":>10}{"clips/s":>10}{"of peak":>9}'
        f'{"fer_jax / it":>14}',
    ]
    for name, it in figures['train'].items():
        lines.append(
            f'{name:<16}{_ms(it)}{it["clips_per_second"]:>10.1f}{it["of_peak"]:>9.0%}{it["ratio"]:>14.2f}'
        )
    lines += ['', f'{"inference, 1 clip":<16}']
    for name, it in figures['inference_batch_1'].items():
        lines.append(f'{name:<16}{_ms(it)}{"":>19}{it["ratio"]:>14.2f}')
    if figures['over_the_faster_rival']:
        ratios = ', '.join(
            f'{what} {it:.2f}' for what, it in figures['over_the_faster_rival'].items()
        )
        lines += ['', f'fer_jax over the faster PyTorch: {ratios}']
    if 'film' in figures:
        stages = ', '.join(f'{name} {1e3 * it:.2f} ms' for name, it in figures['film'].items())
        lines += ['', f'from frame to label: {stages}']
    lines += [
        '',
        f'{figures["parameters"]:,} parameters, {figures["parameter_bytes"]:,} bytes',
    ]
    for name, it in figures['train'].items():
        if 'compile_seconds' in it:
            said = f'{name}: compiled in {it["compile_seconds"]:.1f} s'
            if 'program_bytes' in it:
                said += f', {it["program_bytes"] / 2**20:,.0f} MiB of memory for a step'
            lines.append(said)
    lines.append(f'process: at most {figures["process_peak_bytes"] / 2**20:,.0f} MiB')
    return '\n'.join(lines)


def _ms(times: Mapping[str, float]) -> str:
    return ''.join(f'{1e3 * times[key]:>10.2f}' for key in ('median', 'lowest', 'highest'))
