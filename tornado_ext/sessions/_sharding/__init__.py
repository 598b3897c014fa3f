"""How `ShardedRedisStore` keeps copies of a session on several nodes: see docs/sharding.md."""
