"""What the server sends to a page, in the order in which it comes."""

from playwright.sync_api import Page, WebSocket
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


def elements_sent(tab: Page) -> list[str]:
    """A list that fills with the elements sent to a page: their kind, or the identifier of one of our own.

    To be called before the page is opened. An element that the browser has already is sent as "ref_hash".
    """
    sent: list[str] = []

    def read(data: bytes | str) -> None:
        message = ForwardMsg()
        message.ParseFromString(data if isinstance(data, bytes) else data.encode())
        if message.WhichOneof("type") == "ref_hash":
            sent.append("ref_hash")
        elif message.WhichOneof("type") == "delta" and message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            kind = str(element.WhichOneof("type"))
            sent.append(element.bidi_component.id if kind == "bidi_component" else kind)

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", read)

    tab.on("websocket", listen)
    return sent
