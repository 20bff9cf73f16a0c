"""Network addresses: which ones only this machine can reach, which ones are valid, and listening on one."""

import ipaddress
import socket
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach this host name or address. Of all names only localhost counts: the owner of
    any other name can point it at 127.0.0.1 (DNS rebinding)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def host_of(url: str) -> str:
    """The host of a URL ("//" before a `Host` header makes it one); "" where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def listen(host: str, port: int, backlog: int | None = None) -> socket.socket:
    """A listening socket; ValueError when the address is not available."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=backlog)
    except (OSError, UnicodeError) as error:  # UnicodeError: no host can have such a name
        why = getattr(error, "strerror", None) or "no such host"
        raise ValueError(f"--host {host} --port {port}: cannot listen there ({why}): try others") from None
