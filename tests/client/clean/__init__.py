"""A client of the pump, written from docs/protocol.md, docs/messages.md and docs/roles.md and nothing else.

It shares no code with the pump, and its author had not seen the pump's when writing it. The types of the messages are not even typed
in: they are read from docs/messages.md, so a mistake in that page is a mistake in this client.
"""
