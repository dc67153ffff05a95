"""Real servers, the real program, and a comparison that shares no code with it."""
