"""Free TCP ports on this machine's loopback address."""

import socket


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on and that no one else is given for a while.

    A connection is made through the port and closed by the side that owns it: the port stays in
    TIME_WAIT, so that the system gives it to nobody who asks for any port, while a server that
    sets SO_REUSEADDR, as all servers do, can bind it. (The method of Yelp's
    ephemeral-port-reserve.) Who asks for just this number can still take it: callers that see
    "address already in use" ask for another.
    """
    with socket.socket() as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        accepted.close()  # first to close: TIME_WAIT stays on the server's port
        return int(listener.getsockname()[1])
