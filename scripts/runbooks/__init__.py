"""The safe remedies of docs/runbooks as commands: run.sh says how they are called."""
