"""Tables of a store: schema, writer, ledger, views."""
