"""What a process says of itself at ``/metrics``."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from shared.testing.installation import DistributedInstallation, Installation


def figure(installation: Installation, process: str, name: str, **labels: str) -> float:
    """Return a figure of a process, summed over what ``labels`` leave open; in the embedded shape there is but one."""
    answer = httpx.get(f"{_address(installation, process)}/metrics", trust_env=False, timeout=10)
    families = text_string_to_metric_families(answer.raise_for_status().text)
    samples = (sample for family in families for sample in family.samples if sample.name == name)
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def _address(installation: Installation, process: str) -> str:
    if isinstance(installation, DistributedInstallation) and process in installation._workers:
        return f"http://127.0.0.1:{installation._workers[process]}"
    return installation.url
