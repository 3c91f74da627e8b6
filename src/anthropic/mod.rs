//! Translates Anthropic's Messages API to and from ours. Pure: JSON in, JSON out.
