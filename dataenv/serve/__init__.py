"""An environment behind a server: one session, and its faces (HTTP and JSON, MCP, OpenEnv)."""
