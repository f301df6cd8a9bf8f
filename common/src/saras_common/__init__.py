"""What every Saras service shares. The list of modules is closed; a new one needs a decision in docs/decisions.

Pure: money, charges, calendar, ids, clock, errors, jsonio, schemas, events.
Edges: db, postgres, bus, outbox, inbox, consumer, auth, web, settings, logs, metrics, testing.
"""
