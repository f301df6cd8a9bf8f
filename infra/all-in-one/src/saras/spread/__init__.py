"""The platform spread out on one machine: a process for each service's API and each of its loops.

They meet on private PostgreSQL, RabbitMQ and Redis servers whose data is in ``SARAS_HOME/services``; whatever ends by
itself is started again.
"""
