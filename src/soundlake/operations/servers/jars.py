"""Java libraries from Maven Central, fetched by Ivy: exactly the jars of a committed list, each verified by its SHA-256."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

from soundlake.errors import Permanent, Unavailable
from soundlake.local_files import hold_lock
from soundlake.operations.servers.programs import find_ivy, find_java, list_java_options

KAFKA_JARS = Path(__file__).parents[4] / "infra" / "kafka" / "jars.txt"
SPARK_JARS = Path(__file__).parents[4] / "infra" / "spark" / "jars.txt"
_SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <caches defaultCacheDir={cache}/>
  <resolvers><ibiblio name="central" m2compatible="true" usepoms="true"/></resolvers>
</ivysettings>
"""
_MODULE = """<ivy-module version="2.0">
  <info organisation="soundlake" module="jars"/>
  <configurations><conf name="default"/></configurations>
  <dependencies>{dependencies}</dependencies>
</ivy-module>
"""


@dataclass(frozen=True)
class Jar:
    """One line of a list: the Maven coordinates and the SHA-256 of the file."""

    sha256: str
    organisation: str
    module: str
    version: str

    @property
    def file_name(self) -> str:
        """Its file name in a folder of jars."""
        return f"{self.module}-{self.version}.jar"


def read_jars(listing: Path) -> list[Jar]:
    """Read a list: one `sha256 organisation:module:version` a line, # begins a comment."""
    lines = [line.split() for line in listing.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")]
    return [Jar(sha256, *coordinates.split(":")) for sha256, coordinates in lines]


def install_jars(listing: Path, folder: Path) -> Path:
    """Fetch the jars of the list that the folder lacks, and return the folder. Safe for concurrent processes.

    Raises Unavailable if Java or Ivy is missing or Maven Central does not answer; Permanent if a jar has another hash.
    """
    jars = read_jars(listing)
    folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder / ".lock"):
        if find_missing(jars, folder):
            _retrieve(jars, folder)
        wrong = find_missing(jars, folder)
    if wrong:
        raise Permanent(
            f"{folder}: another SHA-256 than in {listing.name}: {', '.join(jar.file_name for jar in wrong)}",
            next_step="delete these files and try again; if the hash is wrong again, do not use them",
        )
    return folder


def find_missing(jars: Sequence[Jar], folder: Path) -> list[Jar]:
    """The jars that the folder lacks, or has with another hash."""
    return [jar for jar in jars if not _is_valid(jar, folder / jar.file_name)]


def _is_valid(jar: Jar, path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _retrieve(jars: Sequence[Jar], folder: Path) -> None:
    java = find_java()
    with tempfile.TemporaryDirectory(dir=folder, prefix=".ivy-") as work:
        settings, module = Path(work, "settings.xml"), Path(work, "ivy.xml")
        settings.write_text(_SETTINGS.format(cache=quoteattr(str(Path(work, "cache")))), encoding="utf-8")
        module.write_text(_MODULE.format(dependencies="".join(map(_write_dependency, jars))), encoding="utf-8")
        command = [
            str(java), *list_java_options(java), "-cp", str(find_ivy()), "org.apache.ivy.Main",
            "-settings", str(settings), "-ivy", str(module), "-confs", "default", "-types", "jar", "bundle",
            "-retrieve", f"{folder}/[artifact]-[revision].[ext]", "-overwriteMode", "always",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(
            f"no jars from Maven Central: {' | '.join(done.stdout.splitlines()[-3:])}",
            next_step="check the network connection and proxy settings",
        )


def _write_dependency(jar: Jar) -> str:
    at = f"org={quoteattr(jar.organisation)} name={quoteattr(jar.module)} rev={quoteattr(jar.version)}"
    return f'<dependency {at} conf="default->master" transitive="false"/>'
