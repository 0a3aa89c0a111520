"""What the server sends to a page, in the order in which it comes."""

from playwright.sync_api import Page, WebSocket
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


def elements_sent(tab: Page) -> list[list[str]]:
    """A list that fills with the elements sent to a page, run by run: their kind, or the identifier of one of our own.

    To be called before the page is opened. An element that the browser has already is sent as "ref_hash". Runs of
    other parts of the page, such as the chip that waits for the compute workers, come between as runs of their own.
    """
    sent: list[list[str]] = []

    def read(data: bytes | str) -> None:
        message = ForwardMsg()
        message.ParseFromString(data if isinstance(data, bytes) else data.encode())
        if not sent or message.WhichOneof("type") == "new_session":
            sent.append([])
        if message.WhichOneof("type") == "new_session":
            return
        if message.WhichOneof("type") == "ref_hash":
            sent[-1].append("ref_hash")
        elif message.WhichOneof("type") == "delta" and message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            kind = str(element.WhichOneof("type"))
            sent[-1].append(element.bidi_component.id if kind == "bidi_component" else kind)

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", read)

    tab.on("websocket", listen)
    return sent


def run_with(kind: str, sent: list[list[str]]) -> list[str]:
    """The first run that sent an element of a kind.

    Raises:
        AssertionError: If none did.
    """
    for run in sent:
        if kind in run:
            return run
    raise AssertionError(f"no run sent a {kind}: {sent}")
