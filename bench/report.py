"""report - samples in, text and JSON out. No measuring, no printing."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from measures import Measure, Sample
from peers import PEERS

# Of all cores. Below this the driver itself and the kernel's own work are most of it.
OTHER_WORK_NOTED = 0.10


@dataclass
class Outcome:
    """What one measure gave: for each peer one entry per round, None where it failed or is missing."""

    measure: Measure
    rounds: int
    samples: dict[str, list[Sample | None]] = field(default_factory=dict)
    latencies_ms: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def values(self, peer: str) -> list[float]:
        return [sample.value for sample in self.samples.get(peer, []) if sample]

    def ratios(self, peer: str, reference: str) -> list[float]:
        """One ratio per round in which both have a value: what the machine does to one, it does to both."""
        pairs = zip(self.samples.get(peer, []), self.samples.get(reference, []), strict=False)
        if not self.measure.compared:
            return []
        whole = ((mine.value, other.value) for mine, other in pairs if mine and other)
        return [mine / other for mine, other in whole if mine > 0 and other > 0]

    def total(self, peer: str, key: str) -> float:
        return float(sum(sample.detail.get(key, 0) for sample in self.samples.get(peer, []) if sample))

    def other_work(self) -> float:
        """The share of the machine's processor time that neither servers nor clients took."""
        machine = sum(self.total(peer, "machine_seconds") for peer in self.samples)
        other = sum(self.total(peer, "other_cpu_seconds") for peer in self.samples)
        return other / machine if machine else 0.0


_SIDES = {peer.name: peer.side for peer in PEERS}


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the sorted values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def _extra(outcome: Outcome, peer: str) -> str:
    """The columns that only some kinds have."""
    kind = outcome.measure.kind
    server, client = outcome.total(peer, "server_cpu_seconds"), outcome.total(peer, "client_cpu_seconds")
    if kind == "bulk":
        gigabytes = outcome.total(peer, "bytes") / 1e9
        return f"{server / gigabytes:>12.2f}{client / gigabytes:>12.2f}" if gigabytes else ""
    if kind == "memory":
        count = len(outcome.values(peer))
        if not count:
            return ""
        whole = outcome.total(peer, "kib_with_program") / count
        return f"{outcome.total(peer, 'processes_per_connection') / count:>12.1f}{whole:>14.0f}"
    if kind == "growth":
        rates = [outcome.total(peer, f"per_second_{name}") for name in ("none", "held")]
        count = max(len(outcome.values(peer)), 1)
        return "".join(f"{rate / count:>14.0f}" for rate in rates)
    if kind == "ways":
        count = max(len(outcome.values(peer)), 1)
        rates = (outcome.total(peer, name) / count for name in ("base", "way"))
        cpu = (outcome.total(peer, name) / count for name in ("base_cpu", "way_cpu"))
        return "".join(f"{rate:>14.0f}" for rate in rates) + "".join(f"{cost:>13.2f}" for cost in cpu)
    connections = outcome.total(peer, "connections")
    if not connections:
        return ""
    columns = f"{server * 1000 / connections:>12.2f}{client * 1000 / connections:>12.2f}"
    if kind == "latency":
        late = outcome.latencies_ms[peer]
        columns += f"{percentile(late, 0.95):>9.2f}{percentile(late, 0.99):>9.2f}"
    return columns


_EXTRA_HEADS = {
    "rate": f"{'cpu ms/conn':>12}{'client cpu':>12}",
    "latency": f"{'cpu ms/conn':>12}{'client cpu':>12}{'p95':>9}{'p99':>9}",
    "bulk": f"{'cpu s/GB':>12}{'client cpu':>12}",
    "memory": f"{'processes':>12}{'with prog':>14}",
    "growth": f"{'none held/s':>14}{'beside them/s':>14}",
}


def _extra_head(measure: Measure) -> str:
    if measure.ways:
        unit = "MB/s" if measure.moves else "/s"
        cost = "s/GB" if measure.moves else "ms"
        heads = "".join(f"{f'{way.name} {unit}':>14}" for way in measure.ways)
        return heads + "".join(f"{f'cpu {cost}':>13}" for _ in measure.ways)
    return _EXTRA_HEADS[measure.kind]


def lines(outcome: Outcome) -> list[str]:
    """One measure as a table."""
    measure, reference = outcome.measure, outcome.measure.reference
    done = max((len(samples) for samples in outcome.samples.values()), default=0)
    rounds = f"{done} rounds" if done == outcome.rounds else f"{done} of {outcome.rounds} rounds"
    better = "higher is better" if measure.higher_is_better else "lower is better"
    head = f"  {'peer':<11}{measure.unit:>10}{'min':>10}{'max':>10}  {'x ' + reference + ' (min .. max)':<26}"
    out = [f"{measure.name}: {measure.title}; {rounds}; {better}", head + _extra_head(measure)]
    suites: dict[str, list[str]] = {}
    for peer, samples in outcome.samples.items():
        values = outcome.values(peer)
        if not values:
            out.append(f"  {peer:<11}failed: {outcome.errors.get(peer, 'no sample')}")
            continue
        ratios = outcome.ratios(peer, reference)
        ratio = f"{median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f})" if ratios else "-"
        row = f"  {peer:<11}{_number(median(values)):>10}{_number(min(values)):>10}{_number(max(values)):>10}"
        out.append(f"{row}  {ratio:<26}{_extra(outcome, peer)}".rstrip())
        if peer in outcome.errors:
            out.append(f"  {'':<11}{samples.count(None)} failed: {outcome.errors[peer]}")
        for suite in {sample.detail.get("suite", "") for sample in samples if sample} - {"", "clear"}:
            suites.setdefault(suite, []).append(peer)
    out += [f"  {suite}: {', '.join(names)}" for suite, names in suites.items()]
    for client, parts in shares(outcome).items():
        words = (f"{median(of):.0%} ({min(of):.0%} .. {max(of):.0%}) of {aead}" for aead, of in parts.items())
        out.append(f"  share of one core's cipher speed: {client} {', '.join(words)}")
    other = outcome.other_work()
    if other > OTHER_WORK_NOTED:
        out.append(f"  note: other work took {other:.0%} of the machine meanwhile, the ratios are rough")
    pair = (measure.subject, reference)
    used = {name: {suite for suite, names in suites.items() if name in names} for name in pair}
    if all(used.values()) and used[measure.subject] != used[reference]:
        out.append(f"  note: {measure.subject} and {reference} negotiated different suites")
    return out


def shares(outcome: Outcome) -> dict[str, dict[str, list[float]]]:
    """For each client the share of the cipher's own speed on one core that it reached, a value per round."""
    found: dict[str, dict[str, list[float]]] = {}
    alone = [peer for peer in outcome.samples if _SIDES[peer] == "aead"]
    for client in outcome.samples:
        parts = {aead: of for aead in alone if (of := outcome.ratios(client, aead))}
        if parts and client not in alone:
            found[client] = parts
    return found


def as_json(outcome: Outcome) -> dict[str, Any]:
    """One measure with every sample of it."""
    measure = outcome.measure
    peers: dict[str, dict[str, Any]] = {}
    for peer, samples in outcome.samples.items():
        values, ratios = outcome.values(peer), outcome.ratios(peer, measure.reference)
        peers[peer] = {
            "median": median(values) if values else None,
            "ratio": median(ratios) if ratios else None,
            "ratios": [round(ratio, 4) for ratio in ratios],
            "error": outcome.errors.get(peer),
            "samples": [{"value": sample.value, **sample.detail} if sample else None for sample in samples],
        }
        late = outcome.latencies_ms.get(peer)
        if late:
            parts_of = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
            peers[peer]["latency_ms"] = {name: round(percentile(late, share), 3) for name, share in parts_of}
    return {
        "name": measure.name,
        "title": measure.title,
        "unit": measure.unit,
        "reference": measure.reference,
        "shares": {
            client: {aead: [round(value, 4) for value in of] for aead, of in parts.items()}
            for client, parts in shares(outcome).items()
        },
        "higher_is_better": measure.higher_is_better,
        "rounds": outcome.rounds,
        "other_work": round(outcome.other_work(), 3),
        "peers": peers,
    }
