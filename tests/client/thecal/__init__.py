"""A client of the pump's protocol, written from docs/protocol.md and docs/messages.md and not from the pump's code.

What this package and the pump's Rust crate agree on is what the documents say.

| module | chapter of docs/protocol.md |
|---|---|
| frames | Frames |
| noise, session | Sessions |
| keys | Keys on paper |
| messages | How values become bytes, and docs/messages.md |
| client | Requests and answers |
| web_socket | The virtual pump's carrier |
"""
