"""QuantCDN's AI API: asynchronous tools, orchestrations, durable chat, tasks."""
