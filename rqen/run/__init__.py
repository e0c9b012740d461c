"""The folder of a run: settings, weights, state; and the network that it trained."""
