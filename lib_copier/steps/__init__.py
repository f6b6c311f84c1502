"""The method as steps: `plan.py` reads top to bottom as the method does; one file a step."""
