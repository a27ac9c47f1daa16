"""The machine of a set of figures: device, driver, versions, date."""

import argparse
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.figures import Figures
from pipelines.installation import checkout_commit, processor


def driver() -> str | None:
    """Version of the GPU's driver; None if nvidia-smi does not run."""
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0].strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", type=Path, default=None, help="file to append figures to, as JSON lines")
    arguments = parser.parse_args()
    cuda = torch.cuda.is_available()
    Figures("machine", arguments.figures).add(
        date=datetime.now(UTC).date().isoformat(),
        device=torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads",
        gpu_bytes=torch.cuda.get_device_properties(0).total_memory if cuda else None,
        driver=driver(),
        cuda=torch.version.cuda,
        python=platform.python_version(),
        torch=torch.__version__,
        transformers=version("transformers"),
        cpu=processor()[0],
        commit=checkout_commit(),
    )


if __name__ == "__main__":
    main()
