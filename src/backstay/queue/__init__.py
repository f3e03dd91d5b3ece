"""What Backstay does by itself: scheduled runs, alarms and notifications, as durable workflows (DBOS).

``executor`` runs them in this process, ``workflows`` says what they do; no other package knows DBOS.
"""
