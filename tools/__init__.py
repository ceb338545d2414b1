"""What runs, tests and checks the project from its working tree; the site itself needs none of it."""
