"""Whether somebody is on the machine itself."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether a name or address is the machine itself."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
