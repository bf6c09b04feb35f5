"""A TLS proxy in front of a plain server: tls_front.py PORT CERTIFICATE KEY. Prints its own port and serves until its input ends."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

AUTHORITY = (
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=Test authority",
)
REQUEST = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1")


def make_certificates(folder: Path) -> Path:
    """Create an authority and its certificate for 127.0.0.1 (server.pem, server.key); returns the authority's certificate."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    openssl(*AUTHORITY, "-keyout", "authority.key", "-out", "authority.pem")
    openssl(*REQUEST, "-keyout", "server.key", "-out", "server.csr")
    signed = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem")
    return folder / "authority.pem"


@contextlib.contextmanager
def open_tls_proxy(port: int, folder: Path) -> Iterator[str]:
    """A TLS proxy in front of that local port, with the certificate in the folder; yields its address."""
    command = [sys.executable, __file__, str(port), str(folder / "server.pem"), str(folder / "server.key")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield f"https://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.communicate(timeout=30)


async def copy_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while content := await reader.read(65_536):
            writer.write(content)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


async def serve(port: int, context: ssl.SSLContext) -> None:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy_stream(reader, inner_writer), copy_stream(inner_reader, writer))

    server = await asyncio.start_server(connect, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(serve(int(sys.argv[1]), context))


if __name__ == "__main__":
    main()
