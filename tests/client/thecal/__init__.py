"""A client of the pump's protocol, written from docs/protocol.md, docs/messages.md and docs/roles.md alone.

Whoever wrote its first version had read those pages and the vectors, and no code of the pump. The types of the messages are not even typed in: they are
read from docs/messages.md, and which command bears a number from docs/roles.md, so a mistake in these pages is a mistake here.

| module | chapter of docs/protocol.md |
|---|---|
| frames | Frames |
| postcard, messages | How values become bytes, and docs/messages.md |
| keys | Keys |
| noise | The handshake |
| session | Messages, and Sealed messages |
| programming | Programming |
| client | Requests and answers, and docs/roles.md |
| web_socket | The virtual pump's carrier |
"""
