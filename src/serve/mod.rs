//! An HTTP server with the APIs of OpenAI, Anthropic and llama-server.
