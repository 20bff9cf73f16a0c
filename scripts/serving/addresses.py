"""Addresses: which are of this machine alone, which can be at all, and listening at one."""

import ipaddress
import socket
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can be, or can reach, a host of this name or address. Of names that is localhost
    alone: any other can be given the address 127.0.0.1 by whoever owns it (DNS rebinding)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def host_of(place: str) -> str:
    """The host in a URL, or in the `Host` header of a request after two slashes; "" where there is none."""
    try:
        return urlsplit(place).hostname or ""
    except ValueError:
        return ""


def is_address(url: str) -> bool:
    """Whether a URL can be the address of a web server."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def listen(host: str, port: int, backlog: int | None = None) -> socket.socket:
    """A listening socket; ValueError when the address cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=backlog)
    except (OSError, UnicodeError) as error:  # the latter of names that no host can have
        why = getattr(error, "strerror", None) or "no such host"
        raise ValueError(f"--host {host} --port {port}: cannot listen there ({why}): try others") from None
