"""HTTP. Handlers read the request, call one use case in one transaction, and write the answer."""
