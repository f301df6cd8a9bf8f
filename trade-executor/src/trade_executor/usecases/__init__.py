"""What the executor does, a verb a function, each inside the caller's transaction.

`intake` takes orders into windows · `planning` closes windows and makes blocks · `sending` writes ahead and records
answers · `following` takes in what the broker says · `posting` shares fills out and ends blocks · `cancelling` cuts ·
`recovering` finds what is in doubt · `reconciling` compares · `control` halts, resumes, logs in.
"""
