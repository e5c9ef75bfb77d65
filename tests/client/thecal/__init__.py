"""A client of the pump's protocol, in a second hand: docs/protocol.md and docs/messages.md, no code shared with the pump.

Its author knew the pump's code. What this package and the pump agree on shows that bytes are right, not that the documents suffice by themselves.

| module | chapter of docs/protocol.md |
|---|---|
| frames | Frames |
| noise, session | Sessions |
| keys | Keys on paper |
| messages | How values become bytes, and docs/messages.md |
| client | Requests and answers |
| web_socket | The virtual pump's carrier |
"""
