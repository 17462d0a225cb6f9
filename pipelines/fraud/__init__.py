"""What the steps of the training pipeline share. The steps themselves are the scripts beside this package."""
