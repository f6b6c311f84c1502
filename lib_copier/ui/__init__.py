"""The wizard: HTML made here, one gradio event to ask for it, and no logic of the method."""
