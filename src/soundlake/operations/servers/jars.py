"""Java libraries from Maven Central by Ivy: exactly those of a committed list, each held against its hash."""

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
from soundlake.operations.servers.programs import find_ivy, find_java, java_options

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
    """One line of a list: where it is in Maven Central, and the SHA-256 of its bytes."""

    sha256: str
    organisation: str
    module: str
    version: str

    @property
    def file_name(self) -> str:
        """What it is called in a folder of jars."""
        return f"{self.module}-{self.version}.jar"


def read_jars(listing: Path) -> list[Jar]:
    """The jars of a list: `sha256 organisation:module:version` a line, # for remarks."""
    lines = [line.split() for line in listing.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")]
    return [Jar(sha256, *coordinates.split(":")) for sha256, coordinates in lines]


def install_jars(listing: Path, folder: Path) -> Path:
    """The folder, holding each jar of the list as its hash says; what is missing is fetched. Processes may do this at once.

    Raises Unavailable if Java or Ivy is missing or Maven Central does not answer; Permanent if a jar is not what the list says.
    """
    jars = read_jars(listing)
    folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(folder / ".lock"):
        if find_missing(jars, folder):
            _retrieve(jars, folder)
        wrong = find_missing(jars, folder)
    if wrong:
        raise Permanent(
            f"{folder}: not what {listing.name} says: {', '.join(jar.file_name for jar in wrong)}",
            next_step="remove these files and try again; if they are wrong again, do not use them",
        )
    return folder


def find_missing(jars: Sequence[Jar], folder: Path) -> list[Jar]:
    """The jars that are not in the folder, or are there with other bytes."""
    return [jar for jar in jars if not _is_there(jar, folder / jar.file_name)]


def _is_there(jar: Jar, path: Path) -> bool:
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
            str(java), *java_options(java), "-cp", str(find_ivy()), "org.apache.ivy.Main", "-settings", str(settings), "-ivy", str(module),
            "-confs", "default", "-types", "jar", "bundle",
            "-retrieve", f"{folder}/[artifact]-[revision].[ext]", "-overwriteMode", "always",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(
            f"Maven Central did not give the jars: {' | '.join(done.stdout.splitlines()[-3:])}",
            next_step="see that it can be reached",
        )


def _write_dependency(jar: Jar) -> str:
    at = f"org={quoteattr(jar.organisation)} name={quoteattr(jar.module)} rev={quoteattr(jar.version)}"
    return f'<dependency {at} conf="default->master" transitive="false"/>'
