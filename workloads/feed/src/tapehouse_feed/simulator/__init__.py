"""A seeded exchange that serves its events over a WebSocket."""
